// A message that is open: its fields beside its bytes. Whatever is pointed at lights up on the
// other side as well; what is chosen, by click or by key, stays lit when the pointer leaves.

class OpenMessage {
  constructor(box) {
    this.tree = box.querySelector(".tree");
    this.bytes = box.querySelector(".hex");
    this.here = box.querySelector(".here");
    this.hint = this.here.textContent;
    this.rows = [...this.tree.querySelectorAll(".row")];
    this.pieces = [...this.bytes.querySelectorAll("i")];
    this.chosen = null;
    this.listen();
  }

  listen() {
    // Of many rows and bytes only one each is a stop of the Tab key; arrow keys go to the others.
    for (const items of [this.rows, this.pieces]) {
      items.forEach((item, index) => {
        item.tabIndex = index === 0 ? 0 : -1;
      });
    }
    const toRow = (event) => event.target.closest(".row");
    const toPieceRow = (event) => this.rowOf(event.target.closest("i"));
    for (const [box, find] of [
      [this.tree, toRow],
      [this.bytes, toPieceRow],
    ]) {
      box.addEventListener("mouseover", (event) => this.light(find(event) ?? this.chosen));
      box.addEventListener("mouseleave", () => this.light(this.chosen));
      for (const kind of ["focusin", "click"]) {
        box.addEventListener(kind, (event) => this.choose(find(event), box));
      }
    }
    this.tree.addEventListener("keydown", (event) => this.onTreeKey(event));
    this.bytes.addEventListener("keydown", (event) => this.onBytesKey(event));
  }

  choose(row, from) {
    if (!row) return;
    this.chosen = row;
    this.light(row);
    if (from === this.tree) this.revealBytes(row);
    else this.revealRow(row);
  }

  // The field that has exactly these bytes, or the first one that begins with them.
  chooseRange(from, to) {
    const beginning = this.rows.filter((row) => Number(row.dataset.from) === from);
    const row = beginning.find((each) => Number(each.dataset.to) === to) ?? beginning[0];
    if (!row) return;
    this.revealRow(row);
    this.choose(row, this.tree);
  }

  light(row) {
    for (const each of [...this.rows, ...this.pieces]) each.classList.remove("lit");
    this.here.replaceChildren();
    if (!row) {
      this.here.textContent = this.hint;
      return;
    }
    const [from, to] = rangeOf(row);
    row.classList.add("lit");
    for (const piece of this.pieces) {
      const at = Number(piece.dataset.at);
      piece.classList.toggle("lit", at >= from && at < to);
    }
    const name = document.createElement("b");
    name.textContent = pathOf(row).join(" \u203a ");
    const value = row.querySelector(".v").textContent;
    const span = to - from === 1 ? `byte ${from}` : `bytes ${from} to ${to - 1}`;
    this.here.append(name, `: ${value} (${span}). ${row.dataset.about}`);
  }

  rowOf(piece) {
    if (!piece) return null;
    // Several fields may begin here: the innermost comes last.
    return this.rows.filter((row) => row.dataset.from === piece.dataset.at).at(-1) ?? null;
  }

  revealBytes(row) {
    const piece = this.pieces.find((each) => each.dataset.at === row.dataset.from);
    if (piece) scrollWithin(this.bytes.closest(".bytes"), piece);
  }

  revealRow(row) {
    let outer = row.closest("li").parentElement.closest("details");
    while (outer && this.tree.contains(outer)) {
      outer.open = true;
      outer = outer.parentElement.closest("details");
    }
    scrollWithin(this.tree, row);
  }

  onTreeKey(event) {
    const row = event.target.closest(".row");
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const details = row?.parentElement;
    if (step)
      rove(
        this.rows.filter((each) => each.checkVisibility()),
        step,
        row,
      );
    else if (details?.tagName === "DETAILS" && event.key === "ArrowRight") details.open = true;
    else if (details?.tagName === "DETAILS" && event.key === "ArrowLeft") details.open = false;
    else return;
    event.preventDefault();
  }

  onBytesKey(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    rove(this.pieces, step, event.target);
    event.preventDefault();
  }
}

function rangeOf(row) {
  return [Number(row.dataset.from), Number(row.dataset.to)];
}

// The names of the fields that a row stands in, and its own.
function pathOf(row) {
  const names = [];
  for (let item = row.closest("li"); item; item = item.parentElement.closest(".tree li")) {
    names.unshift(item.querySelector(".f").textContent);
  }
  return names;
}

function rove(items, step, current) {
  const next = items[items.indexOf(current) + step];
  if (!next) return;
  current.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

// Scrolls inside the box alone: the page itself stays where it is.
function scrollWithin(box, element) {
  const outer = box.getBoundingClientRect();
  const inner = element.getBoundingClientRect();
  if (inner.top < outer.top) box.scrollTop -= outer.top - inner.top + 24;
  else if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom + 24;
}

// A page may hold hundreds of fields: each message comes to life when it is first opened.
const alive = new WeakMap();

function wake(details) {
  if (!alive.has(details)) {
    const boxes = [...details.querySelectorAll(".opened")];
    alive.set(
      details,
      boxes.map((box) => new OpenMessage(box)),
    );
  }
  return alive.get(details);
}

function watchMessages(root) {
  for (const details of root.querySelectorAll(".message > details")) {
    if (details.open) wake(details);
    else details.addEventListener("toggle", () => wake(details), { once: true });
  }
}

// What shows why a handshake failed leads to its bytes.
function watchEvidence(root) {
  for (const link of root.querySelectorAll("a.shows")) {
    link.addEventListener("click", () => {
      const details = document.querySelector(`${link.hash} > details`);
      if (!details) return;
      details.open = true;
      const [message] = wake(details);
      if (link.dataset.from) message.chooseRange(...rangeOf(link));
    });
  }
}

// One button opens every message, and closes them again.
function watchOpenAll(root) {
  for (const button of root.querySelectorAll("button.open-all")) {
    const all = [...root.querySelectorAll(".message > details")];
    button.hidden = all.length === 0;
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") === "false";
      for (const details of all) details.open = open;
      button.setAttribute("aria-expanded", String(open));
      button.textContent = open ? "Close all messages" : "Open all messages";
    });
  }
}

function watchCopyButtons(root) {
  for (const button of root.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "copied";
      } catch {
        // A page from a disk may not be let; then it is selected, for the user to copy.
        getSelection().selectAllChildren(text);
      }
    });
  }
}

watchMessages(document);
watchEvidence(document);
watchCopyButtons(document);
watchOpenAll(document);
