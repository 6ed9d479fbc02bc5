// Choosing artwork from Keyart's snapshots in another language: the same choice and propensity as Python's, in one
// file without dependencies. docs/serving-elsewhere.md says it in words, step by step.
//
//   node choose.mjs request.json      prints the choice for a request: {snapshot, title, member_id, …}
//
//   import { choose } from "./choose.mjs";
//   choose({ snapshot, title, member_id: "ann", taste: { romance: 0.7 }, now_ms: Date.now() });

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

/** The settings that decide a choice, with Keyart's defaults: every node must have the same. */
export const SETTINGS = {
  explore_share: 0.02,
  popular_share: 0.05,
  uniform_floor: 0.01,
  exploration: 0.1,
  sticky_days: 7,
};

const MIN_SD = 1e-9; // no score is known better
const MIN_PROPENSITY = 1e-12;
const MAX_FEATURES = 64;
const RESERVED = new Set(["bias", "cast"]);

// --- 1. Hashes: SHA-256 of a name once, then SplitMix64 to combine. 64 bits, so BigInt.

const MASK = (1n << 64n) - 1n;
const SALT_POLICY = 0xa0761d6478bd642fn;
const SALT_FLOOR = 0xe7037ed1a0b428dbn;
const SALT_APP = 0x8ebc6af09c88c6e3n;

/** 64 bits that stand for names: the first 8 bytes of the SHA-256 of the names, with a zero byte between two. */
export function keyOf(...names) {
  return createHash("sha256").update(names.join("\0"), "utf8").digest().readBigUInt64BE(0);
}

function mix(value) {
  value = (value + 0x9e3779b97f4a7c15n) & MASK;
  value = ((value ^ (value >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  value = ((value ^ (value >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return value ^ (value >> 31n);
}

/** A hash as a number in (0, 1): its upper 53 bits. */
function unit(value) {
  return (Number(value >> 11n) + 0.5) * 2 ** -53;
}

/** The policy that a member belongs to, for good. */
export function policyOf(memberKey, settings) {
  const u = unit(mix(memberKey ^ SALT_POLICY));
  if (u < settings.explore_share) return "explore";
  return u < settings.explore_share + settings.popular_share ? "popular" : "personal";
}

/** Whether a member is left to the app's own choice (setting `app_share`): show that, with policy "app". */
export function leftToApp(memberKey, appShare) {
  return unit(mix(memberKey ^ SALT_APP)) < appShare;
}

/** What the draws of a member and a title hang on: it changes every `sticky_days`, for each pair at another time. */
function seedOf(memberKey, titleKey, nowMs, settings) {
  const bucketMs = BigInt(Math.max(1, Math.round(settings.sticky_days * 86_400_000)));
  const bucket = (BigInt(nowMs) + (mix(titleKey ^ memberKey) % bucketMs)) / bucketMs;
  return mix(mix(bucket) ^ memberKey);
}

/** A standard normal draw for an artwork: Box and Muller's transform of two hashes. */
function normalDraw(seed, artworkKey) {
  const first = mix(artworkKey ^ seed);
  return Math.sqrt(-2 * Math.log(unit(first))) * Math.cos(2 * Math.PI * unit(mix(first)));
}

// --- 2. The context: what is known of the member.

/** The member's taste for themes, with what the app says of the moment laid over it: at most 63 features. */
export function contextOf(taste, given) {
  const themes = Object.entries(taste).filter(([name]) => !name.startsWith("cast:"));
  const context = { ...Object.fromEntries(themes), ...given };
  for (const name of RESERVED) delete context[name];
  const spare = themes.filter(([name]) => name in context && !(name in given));
  spare.sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1));
  const surplus = Object.keys(context).length - (MAX_FEATURES - 1);
  for (const [name] of spare.slice(0, Math.max(surplus, 0))) delete context[name];
  return context;
}

/** How much a member likes the people that an artwork shows. */
function castAffinity(taste, themes) {
  let sum = 0;
  for (const [name, weight] of Object.entries(themes)) {
    if (name.startsWith("cast:") && name in taste) sum += weight * taste[name];
  }
  return sum;
}

// --- 3. Scores: mean and standard deviation of each artwork's expected reward.

/** With a context: m = w · x, s = |Fᵀ x|, F the lower triangular factor, packed row by row. */
function personalScore(artwork, features, context, cast) {
  const x = features.map((name) => (name === "bias" ? 1 : name === "cast" ? cast : (context[name] ?? 0)));
  const weights = artwork.held ?? artwork.mean;
  let mean = 0;
  let square = 0;
  for (let j = 0; j < x.length; j++) {
    mean += weights[j] * x[j];
    let component = 0;
    for (let i = j; i < x.length; i++) component += artwork.factor[(i * (i + 1)) / 2 + j] * x[i];
    square += component * component;
  }
  return { mean, sd: Math.max(Math.sqrt(square), MIN_SD) };
}

/** Without one, or of a member of whom nothing is known: as the learner says, or from counts (older snapshots). */
function popularScores(snapshot) {
  const { artworks, model } = snapshot;
  if (artworks.every((artwork) => artwork.popular)) {
    return artworks.map(({ popular: [mean, sd] }) => ({ mean, sd: Math.max(sd, MIN_SD) }));
  }
  const sum = (of) => artworks.reduce((total, artwork) => total + of(artwork), 0);
  const shown = sum((artwork) => artwork.impressions);
  const [prior, noise] = [model.prior_precision[0], model.noise_precision];
  return artworks.map((artwork) => {
    const start = shown > 0 ? sum((one) => one.reward) / shown : artwork.prior_mean[0];
    const precision = prior + noise * artwork.impressions;
    const mean = (prior * start + noise * artwork.reward) / precision;
    return { mean, sd: Math.max(1 / Math.sqrt(precision), MIN_SD) };
  });
}

// --- 4. The propensity: the chance that one of some independent Gaussians is the largest.

/** The normal distribution function, within 1e-15: Marsaglia's series (2004). */
export function normalCdf(x) {
  if (x < -8) return 0;
  if (x > 8) return 1;
  let [sum, term] = [x, x];
  for (let i = 3, before = 0; sum !== before; i += 2) {
    before = sum;
    term *= (x * x) / i;
    sum += term;
  }
  return 0.5 + (sum * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI);
}

const rules = new Map();

/** Places and weights of Gauss-Legendre quadrature on [-1, 1], by Newton's method. */
function legendre(count) {
  if (!rules.has(count)) {
    const rule = [];
    for (let i = 0; i < count; i++) {
      let x = Math.cos((Math.PI * (i + 0.75)) / (count + 0.5));
      let slope = 1;
      for (let turn = 0; turn < 20; turn++) {
        let [before, value] = [1, x];
        for (let n = 2; n <= count; n++) [before, value] = [value, ((2 * n - 1) * x * value - (n - 1) * before) / n];
        slope = (count * (x * value - before)) / (x * x - 1);
        const step = value / slope;
        x -= step;
        if (Math.abs(step) < 1e-16) break;
      }
      rule.push([x, 2 / ((1 - x * x) * slope * slope)]);
    }
    rules.set(count, rule);
  }
  return rules.get(count);
}

/**
 * The probability that the chosen one is the largest: ∫ f(t) Π Φ((t - m_b) / s_b) dt over [lo, hi], where left of lo
 * a factor vanishes and right of hi the density does. The range is halved towards lo until the narrowest factor's
 * step is as wide as the last panel: in each, Gauss-Legendre quadrature is exact.
 */
export function winProbability(scores, chosen) {
  const { mean: m, sd: s } = scores[chosen];
  const lo = Math.max(...scores.map((one) => one.mean - 7 * one.sd));
  const hi = m + 7 * s;
  const upper = (one) => one.mean + 7 * one.sd;
  const rivals = scores.filter((one, i) => i !== chosen && upper(one) > lo);
  if (!rivals.length) return 1;
  if (hi <= lo) return 0;
  const lowest = Math.min(...rivals.map(upper));
  const panels = 1 + Math.max(Math.ceil(Math.log2((hi - lo) / (2 * (lowest - lo)))), 0);
  const rule = legendre(rivals.length < 8 ? 64 : rivals.length < 24 ? 96 : 128);
  let total = 0;
  for (let panel = 0; panel < panels; panel++) {
    const right = (hi - lo) * 2 ** -panel;
    const left = panel === panels - 1 ? 0 : right / 2;
    const half = (right - left) / 2;
    const changing = rivals.filter((one) => upper(one) > lo + left); // the others are 1 from here on
    for (const [place, weight] of rule) {
      const t = lo + left + half + half * place;
      let product = Math.exp(-0.5 * ((t - m) / s) ** 2);
      for (const one of changing) product *= normalCdf((t - one.mean) / one.sd);
      total += half * weight * product;
    }
  }
  return total / (s * Math.sqrt(2 * Math.PI));
}

// --- 5. The choice.

/**
 * The artwork of a title for a member, and the exact probability of it.
 *
 * snapshot   the title's record on the topic `snapshots`; null where there is none
 * title      its record on the topic `catalogue`
 * member_id  who will see it
 * taste      the member's shares by theme, `taste` in the record on the topic `tastes`; {} where there is none
 * context    features of the moment, laid over the taste
 * canvas     where it will be shown; artworks made for another canvas do not compete
 * now_ms     when, in milliseconds UTC
 * settings   as SETTINGS, where they differ
 */
export function choose({ snapshot, title, member_id, taste = {}, context = {}, canvas, now_ms, settings = {} }) {
  const rule = { ...SETTINGS, ...settings };
  const fits = (artwork) => canvas == null || artwork.canvas == null || artwork.canvas === canvas;
  const listed = new Map(title.artworks.filter(fits).map((artwork) => [artwork.artwork_id, artwork]));
  if (!listed.size) throw new Error(`title ${title.title_id} has no artwork for canvas ${canvas}`);
  const memberKey = keyOf(member_id);
  const titleKey = keyOf(title.title_id);
  const policy = policyOf(memberKey, rule);
  const seed = seedOf(memberKey, titleKey, now_ms, rule);
  const full = contextOf(taste, context);
  const done = (artwork_id, propensity, cast) => ({
    title_id: title.title_id,
    artwork_id,
    propensity,
    policy,
    context: cast ? { ...full, cast } : full,
    snapshot_version: competing.length ? snapshot.version : null,
  });

  // Those that were learned and that the catalogue lists compete, in the snapshot's order.
  const known = snapshot?.artworks ?? [];
  const competing = known.map((_, i) => i).filter((i) => listed.has(known[i].artwork_id));
  const ids = competing.length ? competing.map((i) => known[i].artwork_id) : [...listed.keys()];
  const draws = ids.map((id) => normalDraw(seed, keyOf(title.title_id, id)));
  const uniform = largest(draws);

  const shown = ids.map((id) => listed.get(id).themes);
  const asksCast = Object.keys(full).length < MAX_FEATURES;
  const casts = shown.map((themes) => (asksCast ? castAffinity(taste, themes) : 0));

  if (policy === "explore") return done(ids[uniform], 1 / ids.length, casts[uniform]);
  if (!competing.length) return done(ids[0], 1, casts[0]);

  const isKnown = (name) => (name === "cast" ? casts.some(Boolean) : name !== "bias" && full[name]);
  const told = snapshot.features.some(isKnown);
  const all = policy === "popular" || !told ? popularScores(snapshot) : null;
  const scores = competing.map((i, place) => {
    const one = all ? all[i] : personalScore(known[i], snapshot.features, full, casts[place]);
    return { mean: one.mean, sd: Math.max(rule.exploration * one.sd, MIN_SD) };
  });
  const floored = unit(mix(seed ^ titleKey ^ SALT_FLOOR)) < rule.uniform_floor;
  const chosen = floored ? uniform : largest(scores.map((one, i) => one.mean + one.sd * draws[i]));
  const won = (1 - rule.uniform_floor) * winProbability(scores, chosen) + rule.uniform_floor / ids.length;
  const propensity = ids.length === 1 ? 1 : Math.min(Math.max(won, MIN_PROPENSITY), 1);
  return done(ids[chosen], propensity, casts[chosen]);
}

/** The place of the first largest number. */
function largest(numbers) {
  return numbers.indexOf(Math.max(...numbers));
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (process.argv.length !== 3) {
    console.error("usage: node choose.mjs request.json");
    process.exit(2);
  }
  console.log(JSON.stringify(choose(JSON.parse(readFileSync(process.argv[2], "utf8"))), null, 2));
}
