"""A recorded handshake as one HTML page that needs nothing else and works from a disk.

It may import `trace`, `wire`, `errors` and `info`, and needs jinja2 (the `tools` extra). Python
works out what is to be shown, `templates` say where, `assets` how it looks and what it does. Start
with `document`; `rendering` holds what keeps a peer's text from being anything but text.

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
