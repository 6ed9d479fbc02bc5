// The two people: what each has watched, and the taste that comes of it.

import { $, copy, isTheme, percent, setText } from "./parts.js";

const WATCHED = 3;

export const people = [
  { name: "One person", css: "one", likes: "romance", watched: [], looks: new Map() },
  { name: "Another", css: "two", likes: "comedy", watched: [], looks: new Map() },
];

// What somebody has watched who likes a theme: the titles that are most about it.
export function mostAbout(theme, titles) {
  const share = (title) => {
    const sum = Object.entries(title.themes).reduce((s, [name, w]) => s + (isTheme(name) ? w : 0), 0);
    return sum ? (title.themes[theme] ?? 0) / sum : 0;
  };
  const about = titles.filter((title) => share(title) > 0).sort((a, b) => share(b) - share(a));
  return about.slice(0, WATCHED).map((title) => title.title_id);
}

// A person's lists; `changed` is called when somebody has chosen from one.
export function showPerson(one, titles, mostly, changed) {
  const box = copy("person"), likes = $("select", box);
  box.classList.add(one.css);
  setText($("legend", box), one.name);
  const themes = [...new Set(titles.flatMap((title) => Object.keys(title.themes)).filter(isTheme))].sort();
  likes.append(new Option("their own mix", ""), ...themes.map((theme) => new Option(theme, theme)));
  likes.addEventListener("change", () => {
    one.likes = likes.value;
    if (one.likes) one.watched = mostly(one.likes);
    fill();
    changed();
  });
  const byId = new Map(titles.map((title) => [title.title_id, title]));
  const byName = [...titles].sort((a, b) => a.name.localeCompare(b.name));
  const slots = Array.from({ length: WATCHED }, (_, place) => {
    const slot = copy("slot"), select = $("select", slot);
    setText($(".unseen", slot), `${one.name} watched, ${place + 1} of ${WATCHED}`);
    select.append(new Option("nothing", ""), ...byName.map((title) => new Option(title.name, title.title_id)));
    select.addEventListener("change", () => {
      one.watched[place] = select.value;
      one.likes = "";
      fill();
      changed();
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

// The shares of themes, as a bar in as many parts, and in words.
export function showTaste(one, taste) {
  const parts = Object.entries(taste).filter(([theme]) => isTheme(theme)).sort((a, b) => b[1] - a[1]);
  $(".taste", one.box).replaceChildren(...parts.map(([, share], place) => {
    const part = document.createElement("span");
    part.style.flexGrow = share;
    part.style.opacity = Math.max(1 - 0.22 * place, 0.2);
    return part;
  }));
  const text = parts.map(([theme, share]) => `${theme} ${percent(share)}`);
  $(".taste", one.box).ariaLabel = text.length ? `${one.name}'s taste: ${text.join(", ")}` : "No taste yet";
  setText($(".themes", one.box), text.slice(0, 5).join("  ·  ") || "Who has watched nothing has no taste yet.");
}
