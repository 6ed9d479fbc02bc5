// How many people like these see an artwork, and what decided it.

import { $, artworkOf, copy, percent, setText, signed, words } from "./parts.js";

const REASONS = 5, SURE = 0.9; // so many bars; paler than this sure

// A share as a bar and a number.
export function meter(one, title, artworkId) {
  const row = copy("meter");
  row.classList.add(one.css);
  fillMeter(row, one, title, artworkId);
  return row;
}

export function fillMeter(row, one, title, artworkId) {
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

// To the right what speaks for the artwork, to the left and hatched what speaks against it.
export function showReasons(side, look, widest) {
  const lead = look.why.reduce((sum, reason) => sum + reason.effect, 0);
  const earns = `Earns ${Math.abs(100 * lead).toFixed(1)} ${lead < 0 ? "less" : "more"} per 100 shown than others`;
  setText($(".lead", side), look.why.length ? earns : "");
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

// The artworks that the others of these people see, the most seen first.
export function showOthers(side, look, title) {
  const others = Object.entries(look.shares).filter(([id]) => id !== look.artwork_id).sort((a, b) => b[1] - a[1]);
  setText($(".also", side), others.length ? "The others see" : "");
  const list = $(".rest", side);
  while (list.children.length > others.length) list.lastChild.remove();
  others.forEach(([id, share], place) => {
    const row = list.children[place] ?? list.appendChild(copy("other")), artwork = artworkOf(title, id);
    if (artwork && $("img", row).getAttribute("src") !== artwork.poster) $("img", row).src = artwork.poster;
    setText($(".unseen", row), `${words(id)}: `);
    setText($(".number", row), percent(share));
  });
}

// One scale for all of them, so that bars can be compared.
export function widestOf(looks) {
  return Math.max(1e-9, ...looks.flatMap(reasonsOf).map((row) => Math.abs(row.effect)));
}
