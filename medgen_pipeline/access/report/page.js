"use strict";
(() => {
  const FIRST = 10, MORE = 100;
  const MEDGEN = "https://www.ncbi.nlm.nih.gov/medgen/", GENE = "https://www.ncbi.nlm.nih.gov/gene/";
  const topics = JSON.parse(document.getElementById("data").textContent);
  const query = document.getElementById("query"), topic = document.getElementById("topic");
  const found = document.getElementById("found");
  const cards = [...document.querySelectorAll(".cards button")];
  const shown = new Map();

  // Text only ever becomes text: names in MedGen may hold any character.
  const make = (tag, className, ...children) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...children);
    return element;
  };
  const link = (url, text) => {
    const element = make("a", "", text);
    element.href = url;
    return element;
  };
  const number = value => value.toLocaleString("en-US");
  const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;
  const plain = text => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

  const concept = (cui, name) => link(MEDGEN + encodeURIComponent(cui), name || cui);
  const side = (came, ...children) => make("li", came ? "came" : "gone",
    make("span", "sign", came ? "+" : "−"),
    make("span", "", make("span", "sr", came ? "now: " : "before: "), ...children));

  // The words in which two names differ, between those that they begin and end with alike.
  const marked = (before, after) => {
    const [a, b] = [before, after].map(name => name.split(/(?<=\s)|(?=\s)/));
    let start = 0, end = 0;
    while (start < Math.min(a.length, b.length) && a[start] === b[start]) start++;
    while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
    const parts = (words, tag) => {
      const [, before, middle, after] = words.slice(start, words.length - end).join("").match(/^(\s*)(.*?)(\s*)$/su);
      return [
        words.slice(0, start).join("") + before,
        middle && make(tag, "", middle),
        after + words.slice(words.length - end).join(""),
      ];
    };
    return [parts(a, "del"), parts(b, "ins")];
  };

  const fact = (name, [id, note, label]) => {
    if (name === "genes") return [link(GENE + encodeURIComponent(id), label || `gene ${id}`), make("span", "kind", ` ${note}`)];
    if (name === "phenotypes") return [label || id, make("span", "kind", ` ${label ? id : ""}${note === "phenotype" ? "" : ` ${note}`}`)];
    return [make("code", "", id), make("span", "kind", ` ${id.includes(":") ? "" : label}${note === "concept" ? "" : ` ${note}`}`)];
  };

  const change = ({ name }, [cui, title, , ...rest]) => {
    if (name === "renamed") {
      const [before, after] = marked(rest[0] || "", title || "");
      return make("ul", "facts", side(false, ...before), side(true, ...after));
    }
    if (name === "merged") return make("span", "", "is now ", concept(rest[0], rest[1]), make("span", "kind", ` ${rest[0]}`));
    if (name === "retired") return make("span", "kind", rest[0]);
    if (rest.length < 4) return null;
    const [gone, came, cutGone, cutCame] = rest;
    const list = make("ul", "facts", ...gone.map(one => side(false, ...fact(name, one))));
    if (cutGone) list.append(side(false, make("span", "kind", `${number(cutGone)} more`)));
    list.append(...came.map(one => side(true, ...fact(name, one))));
    if (cutCame) list.append(side(true, make("span", "kind", `${number(cutCame)} more`)));
    return list;
  };

  const row = (of, item) => {
    const [cui, title, links] = item;
    const meta = make("span", "meta", cui, links ? ` · ${plural(links, "article", "articles")}` : "");
    const changed = change(of, item);
    return make("li", "", ...(changed ? [make("div", "", concept(cui, title), meta), changed] : [concept(cui, title), meta]));
  };

  // What is searched in: all that a row shows.
  for (const of of topics) {
    of.texts = of.items.map(item => plain(item.flat(Infinity).filter(part => typeof part === "string").join(" ")));
    of.section = document.getElementById(`list-${of.name}`);
  }

  const render = () => {
    const words = plain(query.value).split(/\s+/).filter(Boolean);
    let matches = 0, listed = 0;
    for (const of of topics) {
      const items = of.items.filter((_, place) => words.every(word => of.texts[place].includes(word)));
      const chosen = !topic.value || topic.value === of.name;
      const most = shown.get(of.name) || (topic.value ? MORE : FIRST);
      of.section.hidden = !chosen || (words.length > 0 && !items.length);
      if (chosen) {
        matches += items.length;
        listed += of.items.length;
      }
      const list = of.section.querySelector(".rows"), more = of.section.querySelector(".more");
      list.replaceChildren(...(of.section.hidden ? [] : items.slice(0, most).map(item => row(of, item))));
      const left = items.length - most;
      more.hidden = left <= 0;
      more.textContent = `Show ${left > MORE ? `${MORE} more of ${number(left)}` : `${number(left)} more`}`;
      more.onclick = () => {
        shown.set(of.name, most + MORE);
        render();
        list.children[most]?.querySelector("a").focus();
      };
      of.section.querySelector(".matches").textContent = words.length ? ` · ${number(items.length)} found` : "";
    }
    for (const card of cards) card.setAttribute("aria-pressed", String(card.value === topic.value));
    found.textContent = words.length ? `${number(matches)} of ${number(listed)} listed entries match.` : "";
    const state = new URLSearchParams();
    if (topic.value) state.set("topic", topic.value);
    if (query.value) state.set("q", query.value);
    history.replaceState(null, "", state.size ? `#${state}` : location.pathname + location.search);
  };

  const restore = () => {
    const state = new URLSearchParams(location.hash.slice(1));
    query.value = state.get("q") || "";
    topic.value = topics.some(of => of.name === state.get("topic")) ? state.get("topic") : "";
    render();
  };
  const anew = () => {
    shown.clear();
    render();
  };

  query.addEventListener("input", anew);
  topic.addEventListener("change", anew);
  for (const card of cards) card.addEventListener("click", () => {
    topic.value = topic.value === card.value ? "" : card.value;
    anew();
    if (topic.value) document.querySelector(".tools").scrollIntoView();
  });
  document.addEventListener("keydown", event => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !/INPUT|SELECT/.test(document.activeElement.tagName)) {
      event.preventDefault();
      query.focus();
    }
  });
  window.addEventListener("hashchange", restore);
  restore();
})();
