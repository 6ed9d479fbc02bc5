// The live strip: what each policy's showings come to, what choosing for each member is worth, how fresh it is.

import { $, copy, count, fetched, repeat, signed } from "./parts.js";

const REFRESH_MS = 2000, NOT_YET = "not enough yet";
const POLICIES = [
  ["personal", "Chosen for each member"],
  ["popular", "The same for all"],
  ["explore", "By chance"],
  ["app", "The app's own"],
];
const hundred = (rate) => (100 * rate).toFixed(1);
const known = (...numbers) => numbers.every((number) => typeof number === "number" && Number.isFinite(number));

const tiles = new Map();

function tile(key, name) {
  if (!tiles.has(key)) {
    const made = copy("tile");
    made.dataset.key = key;
    $(".name", made).textContent = name;
    $("#strip .tiles").append(made);
    tiles.set(key, made);
  }
  return tiles.get(key);
}

// A number, its interval as a line with a dot on it, and what it is of.
function fill(one, big, small, interval) {
  one.classList.toggle("nothing", big === null);
  for (const [part, text] of [[".big", big ?? NOT_YET], [".small", small]]) {
    if ($(part, one).textContent !== text) $(part, one).textContent = text;
  }
  $(".track", one).hidden = !interval;
  if (!interval) return;
  const { at, low, high, top } = interval, part = (number) => `${100 * Math.min(Math.max(number / top, 0), 1)}%`;
  $(".range", one).style.insetInlineStart = part(low);
  $(".range", one).style.width = part(high - low);
  $(".dot", one).style.insetInlineStart = part(at);
}

function showPolicies(policies) {
  const top = Math.max(...POLICIES.map(([key]) => policies[key]?.high ?? 0)) * 1.05 || 1;
  for (const [key, name] of POLICIES) {
    if (key === "app" && !policies.app) continue; // told only where the app chooses too
    const { impressions, take_rate: at, low, high } = policies[key] ?? {};
    if (!known(at)) {
      fill(tile(key, name), null, known(impressions) ? `${count(impressions)} shown` : "");
      continue;
    }
    const between = known(low, high) ? `${hundred(low)} to ${hundred(high)} · ` : "";
    fill(tile(key, name), hundred(at), `${between}${count(impressions)} shown`,
      known(low, high) ? { at, low, high, top } : null);
  }
}

const percentMore = (ratio) => `${signed(100 * (ratio - 1), 0)} %`;

// Rewards as a multiple of another policy's: nothing may limit it from above yet.
function showLift(lift) {
  const one = tile("lift", "Worth over the same for all"), { ratio, low, high } = lift?.popular ?? {};
  if (!known(ratio)) return fill(one, null, "");
  const between = known(high) ? `${percentMore(low)} to ${percentMore(high)}` : `at least ${percentMore(low)}`;
  return fill(one, percentMore(ratio), `${between} in what is watched`);
}

const UNITS = [[120, 1, "s"], [7200, 60, "min"], [172800, 3600, "h"], [Infinity, 86400, "days"]];

function showFreshness(seconds) {
  const [, unit, name] = UNITS.find(([most]) => !(seconds >= most));
  const big = !known(seconds) ? null : `${(seconds / unit).toFixed(seconds < 10 ? 1 : 0)} ${name}`;
  fill(tile("fresh", "Last learned"), big && `${big} ago`, big ? "the newest snapshot on this node" : "");
}

async function look() {
  try {
    const live = await fetched("/live");
    showPolicies(live.policies ?? {});
    showLift(live.lift);
    showFreshness(live.freshness_seconds);
    $("#strip .fault").hidden = live.split?.ok !== false;
    $("#strip").classList.remove("stale");
    $("#strip").hidden = false;
  } catch (error) {
    if (error.status !== 404) $("#strip").classList.add("stale"); // what was shown stays, paler
  }
}

repeat(look, REFRESH_MS)();
