// The list of this browser's connections, kept up to date by the server's events.

class LiveList {
  constructor(body, status) {
    this.body = body;
    this.status = status;
    this.seen = new Set([...body.rows].map((row) => row.cells[0].textContent));
    this.current = body.querySelector(".this")?.cells[0].textContent;
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
    for (const row of rows) this.seen.add(String(row.number));
  }

  // Every text is set as text: what a peer sent can never become markup.
  rowOf(row) {
    const number = String(row.number);
    const line = document.createElement("tr");
    line.classList.add(row.kind);
    line.classList.toggle("this", number === this.current);
    line.classList.toggle("new", !this.seen.has(number));
    const link = element("a", number);
    link.href = row.link;
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

new LiveList(document.getElementById("rows"), document.getElementById("live")).listen("/events");
watchAgain(document.getElementById("again"));
