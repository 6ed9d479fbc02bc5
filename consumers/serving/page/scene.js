// The scene: two people, what they have watched, and which artwork people like them are shown of each title.
// Nothing here writes: it reads /titles and /posters, and asks /look, which logs no choice.

import { $, artworkOf, copy, count, fetched, percent, repeat, setText, words } from "./parts.js";
import { mostAbout, people, showPerson, showTaste } from "./people.js";
import { fillMeter, meter, showOthers, showReasons, widestOf } from "./reasons.js";

const FLIPS = "good-will-hunting", SPREADS = "stranger-things"; // where the catalogue has them
const BATCH = 60, MORE = 24, REFRESH_MS = 5000;

let titles = [], byId = new Map(), flips, spreads, shown = MORE, asked = 0;

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

// --- titles

// For each person the artwork and what decided it, or one of the two.
function makePair(place, title, part = "*") {
  return people.map((one) => {
    const side = copy("side");
    side.classList.add(one.css);
    side.ariaLabel = `${title.name}: ${one.name}`;
    setText($(".who", side), one.name);
    for (const child of [...side.children]) if (!child.matches(part)) child.remove();
    place.append(side);
    return side;
  });
}

function fillFigure(side, one, title, whom = "") {
  const look = one.looks.get(title.title_id), artwork = look && artworkOf(title, look.artwork_id);
  if (!artwork) return;
  setPicture($("img", side), artwork, `Artwork of ${title.name}: ${words(artwork.artwork_id)}`);
  setText($("b", side), words(artwork.artwork_id));
  const share = look.shares[look.artwork_id];
  setText($("figcaption span", side), share === undefined ? "the first of all" : `seen by ${percent(share)}${whom}`);
}

const both = (title) => people.map((one) => one.looks.get(title.title_id)).filter(Boolean);

function verdict(title) {
  const looks = both(title);
  if (looks.length < people.length) return "";
  if (looks[0].version === null) return "Nothing is published yet: everybody sees the first.";
  const learned = `learned from ${count(looks[0].version)} records`;
  return `${looks[0].artwork_id === looks[1].artwork_id ? "The same for both" : "Another for each"} · ${learned}`;
}

function makeFlip(title) {
  const article = copy("flip"), sides = makePair($(".pair", article), title);
  setText($("h2", article), title.name);
  $("#strip").before(article);
  return () => {
    const widest = widestOf(both(title));
    setText($(".verdict", article), verdict(title));
    people.forEach((one, place) => {
      fillFigure(sides[place], one, title, " of people like this");
      const look = one.looks.get(title.title_id);
      if (!look) return;
      showReasons(sides[place], look, widest);
      showOthers(sides[place], look, title);
    });
  };
}

function makeSpread(title) {
  const article = copy("spread"), list = $(".shares", article);
  setText($("h2", article), title.name);
  $(".key", article).append(...people.map((one) => {
    const name = document.createElement("span");
    name.className = one.css;
    name.textContent = one.name;
    return name;
  }));
  const rows = title.artworks.map((artwork) => {
    const row = copy("share");
    $("img", row).src = artwork.poster;
    setText($("b", row), words(artwork.artwork_id));
    row.append(...people.map((one) => meter(one, title, artwork.artwork_id)));
    list.append(row);
    return row;
  });
  $("#rest").before(article);
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
    const none = $("#find").value.trim() && !found().length;
    tell(none ? "No title is called that." : `They see different artwork of ${apart} of these ${asIs.length} titles.`);
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
  const mostly = (theme) => mostAbout(theme, titles.filter((title) => title !== flips && title !== spreads));
  for (const one of people) {
    one.watched = mostly(one.likes);
    showPerson(one, titles, mostly, ask);
  }
  featured = [flips && makeFlip(flips), spreads && makeSpread(spreads)].filter(Boolean);
  $("#rest").hidden = titles.length <= featured.length;
  showTitles();
  repeat(ask, REFRESH_MS)();
}

$("#people").addEventListener("submit", (event) => event.preventDefault());
$("#find").addEventListener("input", () => { shown = MORE; showTitles(); ask(); });
$("#more").addEventListener("click", () => { shown += MORE; showTitles(); ask(); });
start();
