// The scene: two people, what they have watched, and which artwork people like them are shown of each title.
// Nothing here writes: it reads /titles and /posters, and asks /look, which logs no choice.

import { $, copy, count, fetched, percent, repeat, signed, words } from "./parts.js";

const FLIPS = "good-will-hunting", SPREADS = "stranger-things"; // where the catalogue has them
const WATCHED = 3, BATCH = 60, MORE = 24, REASONS = 5, SURE = 0.9, REFRESH_MS = 5000;

const people = [
  { name: "One person", css: "one", likes: "romance", watched: [], looks: new Map() },
  { name: "Another", css: "two", likes: "comedy", watched: [], looks: new Map() },
];
let titles = [], byId = new Map(), flips, spreads, shown = MORE, asked = 0;

const isTheme = (name) => !name.startsWith("cast:");
const artworkOf = (title, id) => title.artworks.find((artwork) => artwork.artwork_id === id);

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setPicture(img, artwork, alt) {
  if (img.getAttribute("src") === artwork.poster) return;
  const turning = img.hasAttribute("src");
  img.src = artwork.poster;
  img.alt = alt;
  if (!turning) return;
  img.classList.remove("turned");
  void img.offsetWidth; // so that the turn begins anew
  img.classList.add("turned");
}

// --- the two people

// What somebody has watched who likes a theme: the titles that are most about it.
function mostAbout(theme) {
  const share = (title) => {
    const sum = Object.entries(title.themes).reduce((s, [name, w]) => s + (isTheme(name) ? w : 0), 0);
    return sum ? (title.themes[theme] ?? 0) / sum : 0;
  };
  const about = titles.filter((t) => share(t) > 0 && t !== flips && t !== spreads);
  return about.sort((a, b) => share(b) - share(a)).slice(0, WATCHED).map((title) => title.title_id);
}

function showPerson(one) {
  const box = copy("person"), likes = $("select", box);
  box.classList.add(one.css);
  setText($("legend", box), one.name);
  const themes = [...new Set(titles.flatMap((title) => Object.keys(title.themes)).filter(isTheme))].sort();
  likes.append(new Option("their own mix", ""), ...themes.map((theme) => new Option(theme, theme)));
  likes.addEventListener("change", () => {
    one.likes = likes.value;
    if (one.likes) one.watched = mostAbout(one.likes);
    fill();
    ask();
  });
  const byName = [...titles].sort((a, b) => a.name.localeCompare(b.name));
  const slots = Array.from({ length: WATCHED }, (_, place) => {
    const slot = copy("slot"), select = $("select", slot);
    setText($(".unseen", slot), `${one.name} watched, ${place + 1} of ${WATCHED}`);
    select.append(new Option("nothing", ""), ...byName.map((title) => new Option(title.name, title.title_id)));
    select.addEventListener("change", () => {
      one.watched[place] = select.value;
      one.likes = "";
      fill();
      ask();
    });
    $(".watched", box).append(slot);
    return slot;
  });
  function fill() {
    likes.value = one.likes;
    slots.forEach((slot, place) => {
      const title = byId.get(one.watched[place]);
      $("select", slot).value = title?.title_id ?? "";
      $("img", slot).hidden = !title;
      if (title) $("img", slot).src = title.artworks[0].poster;
    });
  }
  one.box = box;
  fill();
  $("#people").append(box);
}

function showTaste(one, taste) {
  const parts = Object.entries(taste).filter(([theme]) => isTheme(theme)).sort((a, b) => b[1] - a[1]);
  $(".taste", one.box).replaceChildren(...parts.map(([, share], place) => {
    const part = document.createElement("span");
    part.style.flexGrow = share;
    part.style.opacity = Math.max(1 - 0.22 * place, 0.2);
    return part;
  }));
  const text = parts.map(([theme, share]) => `${theme} ${percent(share)}`);
  $(".taste", one.box).ariaLabel = text.length ? `${one.name}'s taste: ${text.join(", ")}` : "No taste yet";
  setText($(".themes", one.box), text.slice(0, 5).join("  ·  ") || "Nothing is known of somebody who has watched nothing.");
}

// --- shares and reasons

function meter(one, title, artworkId) {
  const row = copy("meter");
  row.classList.add(one.css);
  fillMeter(row, one, title, artworkId);
  return row;
}

function fillMeter(row, one, title, artworkId) {
  const share = one.looks.get(title.title_id)?.shares[artworkId];
  $(".fill", row).style.width = `${100 * (share ?? 0)}%`;
  setText($(".number", row), share === undefined ? "" : percent(share));
  setText($(".unseen", row), `${one.name}: `);
}

const NAMES = { bias: "whoever looks", cast: "the people on it" };

// The largest effects by themselves, the small ones together: what is shown sums to the lead.
function reasonsOf(look) {
  const told = look.why.slice(0, look.why.length > REASONS + 1 ? REASONS : REASONS + 1);
  const rest = look.why.slice(told.length);
  const rows = told.map(({ feature, effect, sure }) => ({ name: NAMES[feature] ?? feature, effect, sure }));
  if (rest.length) {
    rows.push({ name: `${rest.length} more`, effect: rest.reduce((s, r) => s + r.effect, 0), sure: 1 });
  }
  return rows;
}

function showReasons(side, look, widest) {
  const lead = look.why.reduce((sum, reason) => sum + reason.effect, 0);
  setText($(".lead", side), look.why.length ? `${signed(100 * lead)} in 100 beyond the others, because of` : "");
  const list = $(".why", side), rows = reasonsOf(look);
  while (list.children.length > rows.length) list.lastChild.remove();
  rows.forEach(({ name, effect, sure }, place) => {
    const row = list.children[place] ?? list.appendChild(copy("reason"));
    setText($(".name", row), name);
    setText($(".number", row), signed(100 * effect));
    row.classList.toggle("against", effect < 0);
    row.classList.toggle("unsure", sure < SURE);
    const width = 50 * Math.min(Math.abs(effect) / widest, 1);
    $(".fill", row).style.width = `${width}%`;
    $(".fill", row).style.insetInlineStart = `${effect < 0 ? 50 - width : 50}%`;
  });
}

const widestOf = (looks) => Math.max(1e-9, ...looks.flatMap((look) => reasonsOf(look).map((r) => Math.abs(r.effect))));

// --- titles

// For each person the artwork and what decided it, or one of the two.
function makePair(place, title, part = "figure, .reasons") {
  return people.map((one) => {
    const side = copy("side");
    side.classList.add(one.css);
    side.ariaLabel = `${title.name}: ${one.name}`;
    for (const child of [...side.children]) if (!child.matches(part)) child.remove();
    place.append(side);
    return side;
  });
}

function fillFigure(side, one, title) {
  const look = one.looks.get(title.title_id), artwork = look && artworkOf(title, look.artwork_id);
  if (!artwork) return;
  setPicture($("img", side), artwork, `Artwork of ${title.name}: ${words(artwork.artwork_id)}`);
  setText($("b", side), words(artwork.artwork_id));
  const share = look.shares[look.artwork_id];
  setText($("figcaption span", side), share === undefined ? "the first: nothing learned yet" : `seen by ${percent(share)}`);
}

const both = (title) => people.map((one) => one.looks.get(title.title_id)).filter(Boolean);

function verdict(title) {
  const looks = both(title);
  if (looks.length < people.length) return "";
  if (looks[0].version === null) return "Nothing is published yet: everybody sees the first.";
  const learned = `learned from ${count(looks[0].version)} records`;
  return looks[0].artwork_id === looks[1].artwork_id ? `The same for both · ${learned}` : `Another for each · ${learned}`;
}

function makeFlip(title) {
  const article = copy("flip"), sides = makePair($(".pair", article), title);
  setText($("h2", article), title.name);
  $("#featured").append(article);
  return () => {
    const widest = widestOf(both(title));
    setText($(".verdict", article), verdict(title));
    people.forEach((one, place) => {
      fillFigure(sides[place], one, title);
      const look = one.looks.get(title.title_id);
      if (look) showReasons(sides[place], look, widest);
    });
  };
}

function makeSpread(title) {
  const article = copy("spread"), list = $(".shares", article);
  setText($("h2", article), title.name);
  list.classList.toggle("many", title.artworks.length > 6);
  const rows = title.artworks.map((artwork) => {
    const row = copy("share");
    $("img", row).src = artwork.poster;
    setText($("b", row), words(artwork.artwork_id));
    row.append(...people.map((one) => meter(one, title, artwork.artwork_id)));
    list.append(row);
    return row;
  });
  $("#featured").append(article);
  return () => {
    const of = title.artworks.length;
    setText($(".verdict", article), `Its ${of} artworks: who is shown which · ${verdict(title).split(" · ").at(-1)}`);
    title.artworks.forEach(({ artwork_id: id }, place) => {
      people.forEach((one, which) => {
        fillMeter(rows[place].querySelectorAll(".meter")[which], one, title, id);
        rows[place].classList.toggle(one.css, one.looks.get(title.title_id)?.artwork_id === id);
      });
    });
  };
}

function makeTitle(title) {
  const row = copy("title"), [figures, why] = row.querySelectorAll(".pair"), details = $("details", row);
  setText($("h3", row), title.name);
  $("summary", row).ariaLabel = `Why these artworks of ${title.name}`;
  const sides = makePair(figures, title, "figure"), reasons = makePair(why, title, ".reasons");
  const refresh = () => {
    const looks = both(title);
    people.forEach((one, place) => fillFigure(sides[place], one, title));
    details.hidden = looks.length < people.length || !looks[0].why.length;
    if (!details.open || details.hidden) return;
    looks.forEach((look, place) => showReasons(reasons[place], look, widestOf(looks)));
  };
  details.addEventListener("toggle", refresh);
  return { row, refresh };
}

let featured = [];
const rows = new Map(); // title id -> its row; made when first shown

function found() {
  const text = $("#find").value.trim().toLowerCase();
  return titles.filter((t) => t !== flips && t !== spreads && t.name.toLowerCase().includes(text));
}

function showTitles() {
  const all = found(), some = all.slice(0, shown);
  for (const title of some) if (!rows.has(title.title_id)) rows.set(title.title_id, makeTitle(title));
  $("#titles").replaceChildren(...some.map((title) => rows.get(title.title_id).row));
  $("#more").hidden = some.length === all.length;
  refresh();
}

function refresh() {
  featured.forEach((fill) => fill());
  for (const title of found().slice(0, shown)) rows.get(title.title_id)?.refresh();
}

// --- asking

function tell(text, fault = false) {
  $("#status").classList.toggle("fault", fault);
  setText($("#status"), text);
}

async function looksOf(one, ids) {
  const looks = new Map();
  let taste = {};
  for (let from = 0; from < ids.length; from += BATCH) {
    const body = { watched: one.watched.filter((id) => byId.has(id)), title_ids: ids.slice(from, from + BATCH) };
    const answer = await fetched("/look", body);
    answer.titles.forEach((look) => looks.set(look.title_id, look));
    ({ taste } = answer);
  }
  return { looks, taste };
}

async function ask() {
  const mine = ++asked; // an answer that a later question has overtaken is dropped
  try {
    const ids = [flips, spreads, ...found().slice(0, shown)].filter(Boolean).map((title) => title.title_id);
    const answers = await Promise.all(people.map((one) => looksOf(one, [...new Set(ids)])));
    if (mine !== asked) return;
    people.forEach((one, place) => {
      one.looks = answers[place].looks;
      showTaste(one, answers[place].taste);
    });
    refresh();
    const asIs = ids.filter((id) => people.every((one) => one.looks.has(id)));
    const apart = asIs.filter((id) => new Set(people.map((one) => one.looks.get(id).artwork_id)).size > 1).length;
    tell(asIs.length ? `They see different artwork of ${apart} of these ${asIs.length} titles.` : "No such title.");
  } catch (error) {
    if (mine === asked) tell(`Nothing new at the moment: ${error.message}. Trying again.`, true);
  }
}

async function start() {
  try {
    ({ titles } = await fetched("/titles"));
    if (!titles.length) throw new Error("it is empty; load one with keyart catalogue load");
  } catch (error) {
    tell(`The catalogue cannot be read: ${error.message}. Trying again.`, true);
    return void setTimeout(start, REFRESH_MS);
  }
  byId = new Map(titles.map((title) => [title.title_id, title]));
  flips = byId.get(FLIPS) ?? titles[0];
  const others = titles.filter((title) => title !== flips);
  spreads = byId.get(SPREADS) ?? others.toSorted((a, b) => b.artworks.length - a.artworks.length)[0];
  for (const one of people) one.watched = mostAbout(one.likes);
  people.forEach(showPerson);
  featured = [flips && makeFlip(flips), spreads && makeSpread(spreads)].filter(Boolean);
  $("#rest").hidden = titles.length <= featured.length;
  showTitles();
  repeat(ask, REFRESH_MS)();
}

$("#people").addEventListener("submit", (event) => event.preventDefault());
$("#find").addEventListener("input", () => { shown = MORE; showTitles(); ask(); });
$("#more").addEventListener("click", () => { shown += MORE; showTitles(); ask(); });
start();
