// The list of connections, kept up to date by the server's events.

class LiveList {
  constructor(body, status) {
    this.body = body;
    this.status = status;
    this.seen = new Set([...body.querySelectorAll("a")].map((link) => link.href));
    this.current = body.querySelector(".this a")?.href;
  }

  listen(url) {
    const events = new EventSource(url);
    events.addEventListener("open", () => this.say("live", true));
    events.addEventListener("error", () => this.say("waiting for the server", false));
    events.addEventListener("message", (event) => this.show(JSON.parse(event.data)));
  }

  say(text, isOn) {
    this.status.textContent = text;
    this.status.classList.toggle("on", isOn);
  }

  show(rows) {
    this.body.replaceChildren(...rows.map((row) => this.rowOf(row)));
    for (const link of this.body.querySelectorAll("a")) this.seen.add(link.href);
  }

  // Every text is set as text: what a peer sent can never become markup.
  rowOf(row) {
    const line = document.createElement("tr");
    const link = element("a", String(row.number));
    link.href = row.link;
    line.classList.add(row.kind);
    line.classList.toggle("this", link.href === this.current);
    line.classList.toggle("new", !this.seen.has(link.href));
    const outcome = element("td", element("b", row.outcome), " ", element("span", row.detail));
    outcome.lastChild.classList.add("detail");
    const asked = element("td", element("code", row.paths));
    line.append(
      element("td", link),
      element("td", row.at),
      asked,
      outcome,
      element("td", row.took),
    );
    return line;
  }
}

function element(name, ...content) {
  const made = document.createElement(name);
  made.append(...content);
  return made;
}

function watchAgain(button) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await fetch("/connection.json", { cache: "no-store" });
    } finally {
      button.disabled = false;
    }
  });
}

const rows = document.getElementById("rows");
new LiveList(rows, document.getElementById("live")).listen(rows.dataset.events);
const again = document.getElementById("again");
if (again) watchAgain(again);
