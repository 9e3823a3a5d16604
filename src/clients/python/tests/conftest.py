"""The server under test: its address comes in STEPD_URL."""

import os

import pytest

import stepd


@pytest.fixture(scope="session")
def url():
    address = os.environ.get("STEPD_URL")
    if not address:
        pytest.skip("STEPD_URL is not set: no stepd server to test against")
    return address


@pytest.fixture
def retry():
    """Impatient, so that faults cost a test no time."""
    return stepd.Retry(seconds=20.0, first=0.005, longest=0.05)


@pytest.fixture
def create(url):
    """``Session.create`` on the server under test; what it makes is deleted in the end."""
    made = []

    def make(tensors, *args, address=url, **options):
        session = stepd.Session.create(address, tensors, *args, **options)
        made.append(session.id)
        return session

    yield make
    for session_id in made:
        try:
            with stepd.Session.open(url, session_id) as session:
                session.delete()
        except stepd.NotFound:
            pass
