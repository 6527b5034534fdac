"""A page without the queue, and what visitors send to it."""

import pytest

from hearsight.app.settings import Settings


@pytest.fixture
def page():
    """Makes a client of a page with other limits; the client's `clips` are those of the page."""
    from starlette.testclient import TestClient

    from hearsight.app.server import make_app

    opened = []

    def make(base_url="http://127.0.0.1:7860", **limits):
        app = make_app(Settings(**limits), with_queue=False)
        client = TestClient(app, base_url=base_url, follow_redirects=False)
        client.__enter__()
        opened.append(client)
        client.clips = app.state.clips
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)
