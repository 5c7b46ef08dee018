"""A recorded handshake as one HTML page, which needs no other file and no network.

It may import `trace`, `wire`, `errors` and `info`, and needs jinja2 (the `tools` extra). Python
computes the content, `templates` place it, and `assets` have its style and its script. Start with
`document`; `rendering` ensures that a peer's text is never anything but text.

>>> from handclasp.story.page import Renderer, contents_of, page_of
>>> recorder = Recorder()
>>> handclasp.connect("example.com", 443, trace=recorder).close()
>>> page_of(recorder.events, "example.com")[:15]
'<!DOCTYPE html>'
>>> contents_of(recorder.events, "example.com")["title"]
'example.com'
"""

from handclasp.story.page.document import contents_of, page_of
from handclasp.story.page.rendering import Renderer
from handclasp.story.page.steps import Describe

__all__ = ["Describe", "Renderer", "contents_of", "page_of"]
