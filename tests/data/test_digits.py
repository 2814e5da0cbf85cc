import gzip
import hashlib
import http.server
import logging
import os
import re
import socket
import struct
import subprocess
import sys
import threading

import numpy as np
import pooch
import pytest

from minifishr.data import digits
from minifishr.data.digits import load_digits, read_idx

REAL = os.environ.get("MINIFISHR_DATA")
FILES = list(digits.SHA256)
needs_mnist = pytest.mark.skipif(not REAL, reason="MINIFISHR_DATA is unset")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A machine without MNIST and without network: an empty cache, mirrors that refuse."""
    monkeypatch.delenv("MINIFISHR_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(digits, "MIRRORS", (refusing(), refusing()))
    monkeypatch.setattr(digits, "cached_digits", lambda folder: (np.ones((5, 28, 28), np.uint8), np.arange(5)))
    return tmp_path / "cache" / "minifishr"


def idx(*shape, kind=8, values=None):
    """An IDX file by hand: two zeros, the type, the rank, big-endian sizes, the bytes."""
    size = int(np.prod(shape))
    values = bytes(i % 10 for i in range(size)) if values is None else bytes(values)
    return struct.pack(">BBBB", 0, 0, kind, len(shape)) + b"".join(struct.pack(">I", s) for s in shape) + values


def four_files(train=7, test=3):
    contents = idx(train, 28, 28), idx(train), idx(test, 28, 28), idx(test)
    return {name: gzip.compress(content) for name, content in zip(FILES, contents, strict=True)}


@pytest.fixture
def good(monkeypatch):
    """Four small files and their checksums in the place of MNIST's."""
    files = four_files()
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(digits, "SHA256", hashes)
    return files


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of the user's with four small files."""
    for name, content in four_files().items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("MINIFISHR_DATA", str(tmp_path))
    return tmp_path


def refusing():
    """The address of a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


@pytest.fixture
def mirror():
    """serve(files, cut=0) -> (address, list of the files asked for); `cut` bytes are promised and not sent."""
    servers = []

    def serve(files, cut=0):
        asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self):
                content = files.get(self.path[1:])
                self.send_response(200 if content else 404)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                return content

            def do_GET(self):
                asked.append(self.path[1:])
                content = self.do_HEAD()
                self.wfile.write((content or b"")[: -cut or None])

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/", asked

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_idx_file_is_read_by_its_content_whatever_its_name(tmp_path):
    content = idx(2, 3, values=[1, 2, 3, 4, 5, 255])
    for name, data in {"raw.gz": content, "zipped": gzip.compress(content)}.items():
        (tmp_path / name).write_bytes(data)
        array = read_idx(tmp_path / name)
        assert array.dtype == np.uint8
        assert array.tolist() == [[1, 2, 3], [4, 5, 255]]


GZIPPED = gzip.compress(bytes(range(256)) * 10)
BAD_IDX = {
    "empty": (b"", "not an IDX file"),
    "html page": (b"<!DOCTYPE html><html>", "not an IDX file, it begins with b'<!DOCTYPE html>"),
    "zipped html page": (gzip.compress(b"<!DOCTYPE html><html>"), "not an IDX file"),
    "wrong magic number": (b"\0\1" + idx(3)[2:], "not an IDX file"),
    "unknown type": (idx(3, kind=7), "not an IDX file"),
    "signed bytes": (idx(3, kind=9), "holds int8, expected uint8"),
    "floats": (idx(3, kind=13), "holds float32, expected uint8"),
    "header cut": (idx(3, 28, 28)[:11], "ends within its header, after 11 of 16 bytes"),
    "no dimensions": (idx(values=[1]), "holds no data"),
    "no samples": (idx(0, 28, 28), "holds no data"),
    "one byte short": (idx(4, 5)[:-1], r"holds 19 bytes of data, expected \(4, 5\)"),
    "one byte long": (idx(4, 5) + b"\0", r"holds 21 bytes of data, expected \(4, 5\)"),
    "sizes that overflow": (idx(1, values=[])[:3] + b"\3" + b"\xff" * 12 + b"\1", "holds 1 bytes of data"),
    "gzip cut": (gzip.compress(idx(100))[:-9], "damaged gzip file"),
    "gzip garbled": (GZIPPED[:20] + bytes(40) + GZIPPED[60:], "damaged gzip file"),
    "gzip of no known method": (GZIPPED[:10] + b"\xff" * 40, "damaged gzip file"),
    "gzip with a tail": (gzip.compress(idx(100)) + b"tail", "damaged gzip file"),
    "only a gzip magic number": (b"\x1f\x8b", "damaged gzip file"),
}


@pytest.mark.parametrize("case", BAD_IDX)
def test_bad_idx_file_is_refused_with_its_name(case, tmp_path):
    content, message = BAD_IDX[case]
    (tmp_path / "some-file.gz").write_bytes(content)
    with pytest.raises(ValueError, match=f"read_idx: .*some-file.gz.* {message}|some-file.gz is a {message}") as error:
        read_idx(tmp_path / "some-file.gz")
    assert "\n" not in str(error.value)


def test_folder_in_the_environment_is_read_training_images_first(folder):
    found = load_digits()
    digest = hashlib.sha256(found.images.tobytes() + found.labels.tobytes()).hexdigest()
    assert found.name == f"digits from {folder.name} {digest[:8]}"  # not MNIST: the files only have its names
    assert found.images.shape == (10, 28, 28) and found.images.dtype == np.uint8
    assert found.labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]
    assert found.images[7].ravel()[:3].tolist() == [0, 1, 2]  # the first test image
    assert found.images[1].ravel()[:3].tolist() == [4, 5, 6]  # 784 = 4 mod 10
    assert load_digits("mnist").name == found.name


def test_unzipped_files_are_found_too(folder):
    for name in FILES[:3]:
        (folder / name.removesuffix(".gz")).write_bytes(gzip.decompress((folder / name).read_bytes()))
        (folder / name).unlink()
    assert len(load_digits("mnist").images) == 10


def test_folder_may_begin_with_a_tilde(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    monkeypatch.setenv("MINIFISHR_DATA", f"~/{folder.name}")
    assert len(load_digits("mnist").images) == 10


@pytest.mark.parametrize("source", ["auto", "mnist"])
def test_missing_files_are_named_and_never_replaced(source, folder):
    (folder / FILES[1]).unlink()
    (folder / FILES[2]).unlink()
    message = f"no train-labels-idx1-ubyte, t10k-images-idx3-ubyte in MINIFISHR_DATA={folder}"
    with pytest.raises(FileNotFoundError, match=message):
        load_digits(source)


@pytest.mark.parametrize("source", ["auto", "mnist"])
def test_folder_that_is_none_is_refused(source, folder, monkeypatch):
    monkeypatch.setenv("MINIFISHR_DATA", str(folder / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder; set MINIFISHR_DATA to a folder"):
        load_digits(source)


BAD_FOLDER = {
    "images of another size": (0, idx(7, 28, 27), r"train-images.* holds an array \(7, 28, 27\)"),
    "labels for images": (2, idx(3), r"t10k-images.* holds an array \(3,\)"),
    "too few labels": (1, idx(6), r"train-labels.* holds \(6,\) labels for 7 images"),
    "labels in two columns": (3, idx(3, 1), r"t10k-labels.* holds \(3, 1\) labels for 3 images"),
    "label ten": (3, idx(3, values=[0, 10, 1]), "t10k-labels.* holds the label 10, expected 0 to 9"),
    "a web page": (0, b"<html>", "train-images.* is not an IDX file"),
}


@pytest.mark.parametrize("case", BAD_FOLDER)
def test_unfit_file_in_the_folder_is_refused_with_its_name(case, folder):
    which, content, message = BAD_FOLDER[case]
    (folder / FILES[which]).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_digits()


def test_first_mirror_is_used_quietly_and_then_the_cache(good, mirror, cache, monkeypatch):
    address, asked = mirror(good)
    second, asked_second = mirror(good)
    monkeypatch.setattr(digits, "MIRRORS", (address, second))
    records, handler = [], logging.Handler()
    handler.emit = records.append
    pooch.get_logger().addHandler(handler)
    assert len(load_digits("mnist").images) == 10
    pooch.get_logger().removeHandler(handler)
    assert asked == FILES and asked_second == [] and records == []
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == good
    monkeypatch.setattr(digits, "answering", None)  # nobody is asked for what is there
    assert len(load_digits("auto").images) == 10


def test_download_shows_a_progress_bar(good, mirror, monkeypatch, capsys):
    monkeypatch.setattr(digits, "MIRRORS", (mirror(good)[0],))
    load_digits("mnist")
    assert capsys.readouterr().err.count("100%") >= 4


def bad_mirrors(mirror, good):
    return {
        "web pages": lambda: mirror(dict.fromkeys(good, b"<html>Please log in</html>"))[0],
        "wrong bytes": lambda: mirror({name: content[:-1] + b"?" for name, content in good.items()})[0],
        "half a file": lambda: mirror(good, cut=20)[0],
        "not found": lambda: mirror({})[0],
        "refused": refusing,
        "unknown host": lambda: "http://mirror.invalid/",
    }


BAD_MIRRORS = ["web pages", "wrong bytes", "half a file", "not found", "refused", "unknown host"]
# what is said of a mirror that answers; the others do not
FAILURES = {**dict.fromkeys(BAD_MIRRORS[:2], "wrong checksum"), "half a file": r"\w+Error", "not found": "HTTPError"}


@pytest.mark.parametrize("case", BAD_MIRRORS)
def test_second_mirror_is_used_when_the_first_fails(case, good, mirror, cache, monkeypatch):
    address, asked = mirror(good)
    monkeypatch.setattr(digits, "MIRRORS", (bad_mirrors(mirror, good)[case](), address))
    assert len(load_digits("mnist").images) == 10
    assert asked == FILES
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == good


@pytest.mark.parametrize("case", BAD_MIRRORS)
def test_two_failing_mirrors_are_one_clear_error_and_leave_no_file(case, good, mirror, cache, monkeypatch):
    fail = bad_mirrors(mirror, good)[case]
    monkeypatch.setattr(digits, "MIRRORS", (fail(), fail()))
    message = r"^load_digits: MNIST could not be downloaded \(.*\); set MINIFISHR_DATA"
    with pytest.raises(OSError, match=message) as error:
        load_digits("mnist")
    assert "\n" not in str(error.value)
    first, second = digits.MIRRORS
    told = f"no answer from {first} or {second}"
    if case in FAILURES:
        told = f"{first}{FILES[0]}: {FAILURES[case]}; {second}{FILES[0]}: {FAILURES[case]}"
    assert re.search(f"\\({told}\\)", str(error.value))
    assert not cache.exists() or list(cache.iterdir()) == []


def test_no_second_file_is_asked_for_when_the_first_cannot_be_had(good, mirror, monkeypatch):
    address, asked = mirror(dict.fromkeys(FILES, b"<html>"))
    monkeypatch.setattr(digits, "MIRRORS", (address,))
    with pytest.raises(OSError, match=f"{FILES[0]}: wrong checksum"):
        load_digits("mnist")
    assert asked == FILES[:1]


def test_damaged_file_in_the_cache_is_fetched_again_and_only_that(good, mirror, cache, monkeypatch):
    cache.mkdir(parents=True)
    for name, content in good.items():
        (cache / name).write_bytes(content)
    (cache / FILES[2]).write_bytes(good[FILES[2]][:50])
    with pytest.raises(OSError, match="no answer from"):
        load_digits("mnist")
    address, asked = mirror(good)
    monkeypatch.setattr(digits, "MIRRORS", (address,))
    assert len(load_digits("mnist").images) == 10
    assert asked == [FILES[2]]


def test_mirrors_are_asked_all_at_once(monkeypatch):
    both = threading.Barrier(2)  # the first is only let through once the second is asked
    monkeypatch.setattr(pooch, "HTTPDownloader", lambda timeout: lambda *args, check_only: both.wait(10))
    assert digits.answering(["http://first/", "http://second/"], seconds=20) == ["http://first/", "http://second/"]


def test_mirrors_that_never_answer_are_given_up(monkeypatch):
    stuck, given = threading.Event(), []  # as in looking up a name, which no timeout ends

    def downloader(timeout):
        given.append((timeout, threading.current_thread().daemon))  # no daemon would keep the program from ending
        return lambda *args, check_only: stuck.wait(60)

    monkeypatch.setattr(pooch, "HTTPDownloader", downloader)
    assert digits.answering(["http://first/", "http://second/"], seconds=0.2) == []
    stuck.set()
    assert given == [(0.2, True)] * 2


def test_cache_folder_that_cannot_be_made_is_one_clear_error(good, mirror, cache, monkeypatch):
    cache.parent.write_text("not a folder")
    monkeypatch.setattr(digits, "MIRRORS", (mirror(good)[0],))
    with pytest.raises(OSError, match="could not be downloaded"):
        load_digits("mnist")


def test_auto_falls_back_to_rendered_digits_and_says_so_in_one_line(capsys):
    found = load_digits()
    assert found.name == "rendered digits"
    assert found.images.shape == (5, 28, 28) and found.labels.tolist() == [0, 1, 2, 3, 4]
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.endswith("\n")
    assert "set MINIFISHR_DATA to a folder" in err and "using rendered digits" in err


def test_rendered_digits_can_be_asked_for_whatever_the_environment(monkeypatch, capsys):
    monkeypatch.setenv("MINIFISHR_DATA", "nowhere")
    assert load_digits("rendered").name == "rendered digits"
    assert capsys.readouterr() == ("", "")


def test_unknown_source_is_refused_with_the_call():
    with pytest.raises(ValueError) as error:
        load_digits("mnst")
    assert str(error.value) == "load_digits: unknown source 'mnst', expected 'auto', 'mnist' or 'rendered'"


def test_import_leaves_the_heavy_libraries_alone():
    code = "import sys, minifishr.data; print({'pooch', 'requests', 'scipy', 'matplotlib'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


@needs_mnist
def test_real_mnist_has_its_published_label_counts(monkeypatch):
    monkeypatch.setenv("MINIFISHR_DATA", REAL)
    name, images, labels = load_digits("mnist")
    assert name == "MNIST" and images.shape == (70_000, 28, 28) and labels.shape == (70_000,)
    assert images.dtype == labels.dtype == np.uint8
    train, test = np.bincount(labels[:60_000]), np.bincount(labels[60_000:])
    assert train.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert labels[:5].tolist() == [5, 0, 4, 1, 9]
    np.testing.assert_allclose(images[:60_000].mean() / 255, 0.1307, atol=5e-5)  # the constant of many a tutorial


@needs_mnist
def test_checksums_are_those_of_the_published_files():
    md5 = {  # from the original site
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    }
    paths = [path for path in digits.folder_paths(REAL) if path.suffix == ".gz"]
    if not paths:
        pytest.skip("the files in MINIFISHR_DATA are unzipped")
    for path in paths:
        content = path.read_bytes()
        assert hashlib.md5(content).hexdigest() == md5[path.name]
        assert hashlib.sha256(content).hexdigest() == digits.SHA256[path.name]
