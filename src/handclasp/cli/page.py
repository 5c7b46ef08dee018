"""The demo's page: the seven steps, and the connection of whoever looks at it.

One HTML document without a script and without anything from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handclasp import ConnectionInfo
    from handclasp.cli.story import Step

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(
    steps: Iterable[Step], diagram: str, info: ConnectionInfo, fingerprint: str, handshake_ms: float
) -> str:
    """The document.

    Args:
        steps, diagram: the demo's own handshake.
        info, fingerprint: the connection over which this page travels, seen from the server.
        handshake_ms: how long its handshake took, in milliseconds.
    """
    yours = (
        ("version", info.version),
        ("cipher suite", info.cipher_suite),
        ("key exchange", info.group or "RSA key transport"),
        ("signature", info.signature_scheme or "none"),
        ("protocol", info.alpn or "none agreed upon"),
        ("asked for", info.server_name or "no name"),
        ("hellos", "two" if info.hello_retry else "one"),
        ("took", f"{handshake_ms:.1f} ms, seen from the server"),
        ("its keys' fingerprint", fingerprint),
    )
    return _DOCUMENT.format(
        style=_STYLE,
        icon=_ICON,
        verdict=_verdict(info),
        yours=_table(yours),
        steps="\n".join(_step(number, step) for number, step in enumerate(steps, 1)),
        diagram=escape(diagram.rstrip()),
    )


def _verdict(info: ConnectionInfo) -> str:
    if info.group is not None and "MLKEM" in info.group:
        return (
            "Your browser and this server agreed on keys with a hybrid of an elliptic curve and "
            "ML-KEM: whoever records this conversation cannot read it with a quantum computer "
            "either, as far as anybody knows."
        )
    if info.group is None:
        return (
            "Your browser made the secret and encrypted it to this server's key. Whoever gets that "
            "key some day can read this conversation, if it was recorded."
        )
    return (
        "Your browser and this server agreed on keys with an elliptic curve. It did not offer a "
        "hybrid with ML-KEM, which would withstand quantum computers too."
    )


def _step(number: int, step: Step) -> str:
    return (
        f'<li id="step-{number}"><h3>{escape(step.title)}</h3>\n<p>{escape(step.telling)}</p>\n'
        f"{_table(step.values)}</li>"
    )


def _table(values: Iterable[tuple[str, str]]) -> str:
    rows = "".join(
        f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>\n" for label, value in values
    )
    return f"<dl>\n{rows}</dl>"


_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect x='2' y='7' width='12' height='8' rx='2' fill='%230b7a5c'/%3E"
    "%3Cpath d='M5 7V5a3 3 0 0 1 6 0v2' fill='none' stroke='%230b7a5c' stroke-width='2'/%3E"
    "%3C/svg%3E"
)

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2321; --soft: #5b6662; --paper: #fbfaf7;
  --card: #ffffff; --line: #e2e0d8; --accent: #0b7a5c; --on-accent: #ffffff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9e7; --soft: #9da8a3; --paper: #141817; --card: #1c2221;
    --line: #313a37; --accent: #4cc79f; --on-accent: #10201a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 46rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: clamp(1.7rem, 5vw, 2.4rem); line-height: 1.15; margin: 0 0 .75rem;
  letter-spacing: -.015em; text-wrap: balance; }
h2 { font-size: 1.45rem; line-height: 1.25; margin: 0 0 .4rem; letter-spacing: -.01em; }
h3, .card h2 { font-size: 1.2rem; line-height: 1.3; margin: 0 0 .4rem; letter-spacing: 0; }
p { margin: 0 0 1rem; text-wrap: pretty; }
.lead { color: var(--soft); font-size: 1.125rem; margin-bottom: 2rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .75rem;
  border-top: 4px solid var(--accent); padding: 1.25rem 1.4rem; margin-bottom: 3rem; }
ol { list-style: none; counter-reset: step; margin: 1.5rem 0 0; padding: 0; }
ol > li { counter-increment: step; position: relative; padding: 0 0 2.25rem 3.5rem; }
ol > li::before { content: counter(step); position: absolute; left: 0; top: -.15rem;
  width: 2.25rem; height: 2.25rem; border-radius: 50%; background: var(--accent);
  color: var(--on-accent); font-weight: 700; text-align: center; line-height: 2.25rem; }
ol > li:not(:last-child)::after { content: ""; position: absolute; left: calc(1.125rem - 1px);
  top: 2.5rem; bottom: .5rem; width: 2px; background: var(--line); }
dl { margin: 0; font-size: .95rem; }
dl div { display: grid; grid-template-columns: 9.5rem 1fr; gap: 0 1rem; padding: .3rem 0;
  border-top: 1px solid var(--line); }
dt { color: var(--soft); }
dd { margin: 0; font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  font-size: .88rem; line-height: 1.7; overflow-wrap: anywhere; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .75rem;
  padding: 1rem 1.1rem; overflow-x: auto; font: .74rem/1.45 ui-monospace, SFMono-Regular, Menlo,
  Consolas, monospace; }
footer { color: var(--soft); font-size: .95rem; margin-top: 2rem; }
a { color: var(--accent); }
@media (max-width: 34rem) {
  ol > li { padding-left: 0; }
  ol > li > h3 { padding-left: 2.9rem; min-height: 2rem; }
  ol > li::before { width: 2rem; height: 2rem; line-height: 2rem; }
  ol > li:not(:last-child)::after { display: none; }
  dl div { grid-template-columns: 1fr; } dt { font-size: .85rem; } }
"""

_DOCUMENT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>One handshake, seven steps</title>
<link rel="icon" href="{icon}">
<style>{style}</style>
</head>
<body>
<main>
<h1>One handshake, seven steps</h1>
<p class="lead">Before this page could reach you, your browser and this server had to agree on a
secret, in public, without ever having met. Here is how such a handshake goes, with the values of
one that took place on this machine a moment ago.</p>
<section class="card" id="yours">
<h2>Your connection, right now</h2>
<p>{verdict}</p>
{yours}
</section>
<h2>The handshake that the demo made</h2>
<p>Its own client connected to this server, just as your browser did.</p>
<ol>
{steps}
</ol>
<h2>Message by message</h2>
<p>Time goes down. <code>---</code> is what anyone on the way can read, <code>===</code> what only
the two can.</p>
<pre tabindex="0">{diagram}</pre>
<footer>Reload in a new window after a minute, and your fingerprint above has changed: new
connection, new keys. This connection as <a href="/connection.json">JSON</a>, and the
<a href="/ca.pem">certificate of the authority</a> that this server's certificate is from.</footer>
</main>
</body>
</html>
"""
