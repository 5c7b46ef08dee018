"""How the page looks, and the little that it does: its style sheet and its script.

Both stand in the page itself, which works from a disk and loads nothing. Its policy names the
script and the style by their hashes, so that nothing else in the page can ever run.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode

STYLE = """
:root { color-scheme: light dark; --ink: #1c2321; --soft: #5b6662; --paper: #fbfaf7;
  --card: #ffffff; --line: #e2e0d8; --accent: #0b7a5c; --on-accent: #ffffff; --wash: #e9f4ef;
  --lit: #ffe39a; --bad: #a8321f; --bad-wash: #fbece8; --blue: #2f62a8; --blue-wash: #edf2f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9e7; --soft: #9da8a3; --paper: #141817; --card: #1c2221; --line: #313a37;
    --accent: #4cc79f; --on-accent: #10201a; --wash: #1a2b26; --lit: #5d4c12; --bad: #f08e7c;
    --bad-wash: #33201c; --blue: #8db4ea; --blue-wash: #1b2430; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: clamp(1.7rem, 5vw, 2.4rem); line-height: 1.15; margin: 0 0 .75rem;
  letter-spacing: -.015em; text-wrap: balance; overflow-wrap: anywhere; }
h2 { font-size: 1.45rem; line-height: 1.25; margin: 0 0 .5rem; letter-spacing: -.01em; }
h3 { font-size: 1.05rem; line-height: 1.3; margin: 1.6rem 0 .5rem; }
p { margin: 0 0 1rem; text-wrap: pretty; max-width: 44rem; }
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: .25rem; }
code, .hex, .gutter, dd, .mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas,
  "DejaVu Sans Mono", monospace; }
.lead { color: var(--soft); font-size: 1.125rem; }
.note, .about { color: var(--soft); font-size: .95rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .75rem;
  border-top: 4px solid var(--accent); padding: 1.25rem 1.4rem; margin: 1.5rem 0 2.5rem; }
.card.bad { border-top-color: var(--bad); background: var(--bad-wash); }
.card > :last-child { margin-bottom: 0; }
dl { margin: 0 0 1rem; font-size: .95rem; max-width: 48rem; }
dl > div { display: grid; grid-template-columns: 11rem 1fr; gap: 0 1rem; padding: .3rem 0;
  border-top: 1px solid var(--line); }
dt { color: var(--soft); }
dd { margin: 0; font-size: .88rem; line-height: 1.7; overflow-wrap: anywhere; }
dd.secret { display: flex; gap: .6rem; align-items: flex-start; }
dd.secret code { flex: 1; }
button { font: inherit; font-size: .8rem; line-height: 1.5; color: var(--accent);
  background: none; border: 1px solid var(--line); border-radius: .4rem; padding: .05rem .55rem;
  cursor: pointer; }
button:hover { border-color: var(--accent); }
.flight { border-left: 3px solid var(--accent); padding-left: 1rem; margin: 0 0 1.4rem; }
.flight.server { border-color: var(--blue); }
.flight h3 { margin: 0 0 .4rem; font-size: .85rem; color: var(--accent); font-weight: 600; }
.flight.server h3 { color: var(--blue); }
.flight ol { list-style: none; margin: 0; padding: 0; }
.message { position: relative; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; margin: 0 0 .5rem; }
.flight.client .message { margin-right: 3rem; }
.flight.server .message { margin-left: 3rem; }
.flight .message:has(details[open]) { margin-left: 0; margin-right: 0; }
.head { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 .9rem;
  padding: .7rem 3.4rem .75rem 1rem; border-radius: .6rem; }
summary.head { cursor: pointer; list-style: none; }
summary.head::-webkit-details-marker { display: none; }
summary.head:hover { background: var(--wash); }
summary.head .name::before { content: "+"; display: inline-block; width: 1.1rem;
  color: var(--soft); font-weight: 400; }
details[open] > summary.head .name::before { content: "\\2212"; }
.name { font-weight: 650; }
.size, .at, .lock { color: var(--soft); font-size: .85rem; font-variant-numeric: tabular-nums; }
.lock { border: 1px solid var(--line); border-radius: 1rem; padding: 0 .6rem; }
.lock.open { border-style: dashed; }
.say { flex-basis: 100%; max-width: 44rem; padding-left: 1.1rem; }
.badge { position: absolute; right: .9rem; top: .8rem; width: 1.6rem; height: 1.6rem; z-index: 1;
  border-radius: 50%; border: 1px solid var(--line); color: var(--soft); font-size: .8rem;
  line-height: 1.5rem; text-align: center; text-decoration: none; }
.badge:hover { background: var(--accent); color: var(--on-accent); }
.opened { border-top: 1px solid var(--line); padding: .9rem 1rem 1rem; }
.about { margin-bottom: .4rem; }
.here { position: sticky; top: 0; z-index: 2; min-height: 4.6rem; margin: 0 0 .6rem;
  padding: .5rem .75rem; background: var(--wash); border-radius: .4rem; font-size: .88rem;
  line-height: 1.5; max-width: none; overflow-wrap: anywhere; }
.here b { font-weight: 600; }
.split { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 1.25rem;
  align-items: start; }
.tree, .bytes { max-height: 34rem; overflow: auto; }
.tree, .tree ul { list-style: none; margin: 0; padding: 0; }
.tree ul { margin-left: .55rem; padding-left: .55rem; border-left: 1px solid var(--line); }
.row { display: flex; gap: 0 .6rem; align-items: baseline; padding: .08rem .35rem;
  border-radius: .25rem; font-size: .88rem; line-height: 1.55; cursor: default; }
.row::before { content: ""; flex: none; width: .6rem; color: var(--soft); }
summary.row { list-style: none; cursor: pointer; }
summary.row::-webkit-details-marker { display: none; }
summary.row::before { content: "+"; }
details[open] > summary.row::before { content: "\\2212"; }
.f { flex: none; max-width: 60%; overflow-wrap: anywhere; }
.v { flex: 1; min-width: 0; color: var(--soft); white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }
.r { flex: none; color: var(--soft); font-size: .78rem; font-variant-numeric: tabular-nums; }
.lit { background: var(--lit); }
.lit .v, .lit .r { color: inherit; }
.row:focus-visible, .hex i:focus-visible { outline-offset: -1px; }
.grid { display: flex; gap: 1rem; font-size: .8rem; line-height: 1.65; }
.gutter { color: var(--soft); white-space: pre; opacity: .75; }
.gutter.w8 { display: none; }
.hex { width: 47.5ch; overflow-wrap: normal; }
.hex i { font-style: normal; border-radius: .15rem; cursor: default; }
.hex i:hover { background: var(--lit); }
.steps > section { border-top: 1px solid var(--line); padding-top: 2rem; margin-top: 2.5rem;
  scroll-margin-top: 0; }
.steps h2 .n { display: inline-block; width: 2rem; height: 2rem; margin-right: .7rem;
  border-radius: 50%; background: var(--accent); color: var(--on-accent); font-size: 1.05rem;
  font-weight: 700; line-height: 2rem; text-align: center; letter-spacing: 0; }
.choice { border-top: 1px solid var(--line); padding: .7rem 0; max-width: 48rem; }
.choice p { margin: 0; }
.choice .why { color: var(--soft); font-size: .9rem; }
.offers { display: flex; flex-wrap: wrap; gap: .35rem; margin: .4rem 0 0; padding: 0;
  list-style: none; font-size: .8rem; }
.offers li { border: 1px solid var(--line); border-radius: .35rem; padding: .05rem .5rem;
  overflow-wrap: anywhere; }
.offers .no { color: var(--soft); border-style: dashed; }
.offers .yes { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
.pair { display: grid; grid-template-columns: minmax(0, 24rem) minmax(0, 1fr); gap: 2rem;
  align-items: start; }
svg { display: block; width: 100%; max-width: 26rem; height: auto; margin: .5rem 0 1rem;
  overflow: visible; }
svg text { font: 11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  fill: var(--soft); }
svg .strong { font-size: 14px; font-weight: 650; fill: var(--ink); }
svg .mono { font: 600 11px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  fill: var(--ink); }
svg .end { text-anchor: end; }
.stage { fill: var(--wash); stroke: var(--accent); }
.leaf { fill: var(--card); stroke: var(--line); }
.known { fill: var(--blue-wash); stroke: var(--blue); }
.wire { fill: none; stroke: var(--soft); stroke-width: 1.2; stroke-linejoin: round; }
.track { fill: var(--line); opacity: .5; }
.bar, .tick.sealed { fill: var(--accent); }
.tick { fill: var(--blue); }
.key { fill: var(--ink); }
.certificate { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .8rem 1rem .3rem; margin: 0 0 .6rem; max-width: 50rem; }
.certificate h4 { margin: 0 0 .5rem; font-size: 1rem; overflow-wrap: anywhere; }
.certificate + .certificate { margin-left: 1.5rem; }
footer { color: var(--soft); font-size: .95rem; margin-top: 3rem; }
@media (max-width: 58rem) {
  .split, .pair { grid-template-columns: minmax(0, 1fr); }
  .tree { max-height: 22rem; } .bytes { max-height: 16rem; } }
@media (max-width: 34rem) {
  main { padding: 1.75rem 1rem 3rem; }
  .flight { padding-left: .6rem; }
  .flight.client .message, .flight.server .message { margin-left: 0; margin-right: 0; }
  .head { padding: .6rem 2.9rem .65rem .7rem; gap: 0 .7rem; }
  .badge { right: .6rem; top: .6rem; }
  .say { padding-left: 0; margin-top: .25rem; }
  .opened { padding: .7rem .7rem .8rem; }
  .gutter.w16 { display: none; } .gutter.w8 { display: block; }
  .hex { width: 23.5ch; } .grid { font-size: .85rem; }
  dl > div { grid-template-columns: 1fr; } dt { font-size: .85rem; }
  .certificate + .certificate { margin-left: .6rem; } }
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
@media print { .here, .badge, button { display: none; } .tree, .bytes { max-height: none; } }
"""

SCRIPT = """
"use strict";
const all = (root, selector) => [...root.querySelectorAll(selector)];

function light(opened, row) {
  all(opened, ".lit").forEach((each) => each.classList.remove("lit"));
  const here = opened.querySelector(".here");
  here.replaceChildren();
  if (!row) return;
  const from = Number(row.dataset.from), to = Number(row.dataset.to);
  row.classList.add("lit");
  for (const piece of all(opened, ".hex i")) {
    const at = Number(piece.dataset.at);
    if (at >= from && at < to) piece.classList.add("lit");
  }
  const path = [];
  for (let item = row.closest("li"); item; item = item.parentElement.closest(".tree li")) {
    path.unshift(item.querySelector(".f").textContent);
  }
  const name = document.createElement("b");
  name.textContent = path.join(" \\u203a ");
  const value = row.querySelector(".v").textContent;
  const count = to - from;
  here.append(name, `: ${value} (${count} byte${count === 1 ? "" : "s"} from ${from} on). `);
  if (row.dataset.about) here.append(row.dataset.about + ".");
}

function rowOf(opened, piece) {
  const at = piece.dataset.at;
  return all(opened, `.row[data-from="${at}"]`).at(-1);
}

function scrollWithin(box, element) {
  const outer = box.getBoundingClientRect(), inner = element.getBoundingClientRect();
  if (inner.top < outer.top) box.scrollTop -= outer.top - inner.top + 24;
  else if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom + 24;
}

function reveal(opened, row) {
  for (let up = row.parentElement.closest(".tree details"); up;
       up = up.parentElement.closest(".tree details")) up.open = true;
  scrollWithin(opened.querySelector(".tree"), row);
}

function revealBytes(opened, row) {
  const piece = opened.querySelector(`.hex i[data-at="${row.dataset.from}"]`);
  if (piece) scrollWithin(opened.querySelector(".bytes"), piece);
}

// Of many rows and bytes only one each is a stop of the Tab key; arrow keys go to the others.
function rove(items, step, current) {
  const next = items[items.indexOf(current) + step];
  if (!next) return;
  current.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

function onTreeKey(opened, event) {
  const row = event.target, box = row.parentElement;
  const rows = all(opened, ".row").filter((each) => each.checkVisibility());
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) rove(rows, step, row);
  else if (event.key === "ArrowRight" && box.tagName === "DETAILS") box.open = true;
  else if (event.key === "ArrowLeft" && box.tagName === "DETAILS") box.open = false;
  else return;
  event.preventDefault();
}

function onBytesKey(opened, event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  rove(all(opened, ".hex i"), step, event.target);
  event.preventDefault();
}

for (const opened of all(document, ".opened")) {
  const tree = opened.querySelector(".tree"), bytes = opened.querySelector(".hex");
  all(tree, ".row").forEach((row, index) => { row.tabIndex = index ? -1 : 0; });
  all(bytes, "i").forEach((piece, index) => { piece.tabIndex = index ? -1 : 0; });
  for (const kind of ["mouseover", "focusin"]) {
    tree.addEventListener(kind, (event) => {
      const row = event.target.closest(".row");
      if (row) { light(opened, row); revealBytes(opened, row); }
    });
    bytes.addEventListener(kind, (event) => {
      const piece = event.target.closest("i");
      if (!piece) return;
      const row = rowOf(opened, piece);
      light(opened, row);
      if (kind === "focusin" && row) reveal(opened, row);
    });
  }
  tree.addEventListener("keydown", (event) => onTreeKey(opened, event));
  bytes.addEventListener("keydown", (event) => onBytesKey(opened, event));
}

for (const button of all(document, "button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "copied";
    } catch {  // A page from a disk may not be let; then it is selected, for the user to copy.
      getSelection().selectAllChildren(text);
    }
  });
}
"""


def content_security_policy() -> str:
    """Nothing from anywhere, and of the page's own only this style and this script."""
    return (
        f"default-src 'none'; style-src '{_hash(STYLE)}'; script-src '{_hash(SCRIPT)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
