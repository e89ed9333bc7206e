"""Downloads, from a server of our own on this machine."""

import dataclasses
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from perdure.datasets import _download, load, locate
from perdure.datasets._catalogue import CATALOGUE
from perdure.datasets._info import Source

HEADER = "period,nswprice,nswdemand,vicprice,vicdemand,transfer,class\n"
TABLE = (HEADER + "".join(f"{k},1,2,3,4,5,{k % 2}\n" for k in range(30))).encode()


class Handler(BaseHTTPRequestHandler):
    """Answers each path with ``server.files[path]``; says a length of its own where ``server.length`` is given."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(self.server.length or len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()
        self.server.hold.wait(self.server.seconds)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.files, running.asked, running.length = {"/electricity.csv": TABLE}, [], None
        running.hold, running.seconds = threading.Event(), 0
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.hold.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def declare(server, monkeypatch):
    """Declares that the electricity data is the table on our server, or what else it is told."""

    def run(**changes):
        url = f"http://127.0.0.1:{server.server_port}/electricity.csv"
        source = Source(url, len(TABLE), hashlib.sha256(TABLE).hexdigest())
        info = dataclasses.replace(
            CATALOGUE["electricity"], sources=(dataclasses.replace(source, **changes),), train_size=30
        )
        monkeypatch.setitem(CATALOGUE, "electricity", info)
        return info

    return run


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_is_missing_is_downloaded_once_and_its_licence_shown_first(server, declare, alone):
    info = declare()
    lines = []
    assert locate("electricity") is None
    dataset = load("electricity", say=lines.append)
    assert dataset.train[1].tolist() == [0, 1] * 15
    assert info.licence in lines[0]
    assert info.citation in lines[0]
    assert info.homepage in lines[0]
    assert info.sources[0].url in lines[1]
    assert locate("electricity") == alone / "electricity"
    assert files_in(alone) == [alone / "electricity" / "electricity.csv"]
    again = load("electricity", say=lines.append)
    assert (again.train[0] == dataset.train[0]).all()
    assert server.asked == ["/electricity.csv"]
    assert len(lines) == 2


def test_no_download_without_leave(server, declare, alone):
    declare()
    with pytest.raises(FileNotFoundError, match="allow download"):
        load("electricity", download=False)
    assert server.asked == []
    assert not alone.exists()


@pytest.mark.parametrize("changes", [{"sha256": "0" * 64}, {"size": len(TABLE) - 1}])
def test_another_file_than_the_declared_one_is_refused(server, declare, alone, changes):
    declare(**changes)
    with pytest.raises(ValueError, match=r"electricity.csv is not the file it should be .*: nothing was kept"):
        load("electricity")
    assert files_in(alone) == []
    declare()
    assert len(load("electricity").train[0]) == 30


def test_an_endless_answer_is_cut_at_the_declared_size(server, declare, alone):
    server.files["/electricity.csv"] = TABLE + bytes(3 * _download.TELL_EVERY)
    declare()
    lines = []
    with pytest.raises(ValueError, match="not the file it should be"):
        load("electricity", say=lines.append)
    assert len(lines) == 2  # no progress was made past the first chunk
    assert files_in(alone) == []


def test_a_transfer_that_breaks_off_leaves_nothing(server, declare, alone):
    server.length = len(TABLE)
    server.files["/electricity.csv"] = TABLE[:100]
    declare()
    with pytest.raises(ConnectionError, match=f"broke off after 100 of {len(TABLE)} bytes; try again"):
        load("electricity")
    assert files_in(alone) == []
    server.files["/electricity.csv"] = TABLE
    assert len(load("electricity").train[0]) == 30


def test_a_server_that_falls_silent_is_given_up(server, declare, alone, monkeypatch):
    monkeypatch.setattr(_download, "TIMEOUT_SECONDS", 0.2)
    server.seconds, server.length = 20, len(TABLE)
    server.files["/electricity.csv"] = TABLE[:100]
    declare()
    with pytest.raises(ConnectionError, match="timed out"):
        load("electricity")
    assert files_in(alone) == []


def test_a_file_that_is_gone_and_a_server_that_is_not_there_are_told(server, declare, alone):
    server.files.clear()
    declare()
    with pytest.raises(ConnectionError, match=r"electricity.csv: HTTP Error 404.*put the file at .*electricity.csv"):
        load("electricity")
    declare(url="http://127.0.0.1:9/electricity.csv")
    with pytest.raises(ConnectionError, match=r"could not download http://127\.0\.0\.1:9/"):
        load("electricity")
    assert files_in(alone) == []


def test_progress_is_told_beside_the_file_to_be_and_an_interrupt_leaves_nothing(server, declare, alone):
    big = np.random.default_rng(0).bytes(25 * 10**6)
    server.files["/electricity.csv"] = big
    declare(size=len(big), sha256=hashlib.sha256(big).hexdigest())
    seen = []

    def say(line):
        seen.append((line, [path.suffix for path in files_in(alone)]))
        if line.endswith("20 of 25 MB"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load("electricity", say=say)
    assert seen[2:] == [("electricity.csv: 10 of 25 MB", [".part"]), ("electricity.csv: 20 of 25 MB", [".part"])]
    assert files_in(alone) == []


def test_files_that_came_before_are_not_fetched_again(server, declare, alone, monkeypatch):
    info = declare()
    (source,) = info.sources
    two = (source, dataclasses.replace(source, url=source.url.replace("electricity.csv", "more.csv")))
    with pytest.raises(ConnectionError, match=r"more.csv: HTTP Error 404"):
        _download.download(dataclasses.replace(info, sources=two), alone / "electricity", lambda _: None)
    server.files["/more.csv"] = TABLE
    _download.download(dataclasses.replace(info, sources=two), alone / "electricity", lambda _: None)
    assert server.asked == ["/electricity.csv", "/more.csv", "/more.csv"]
