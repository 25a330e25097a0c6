"""Which files an input names, in which pieces, and what is said where it names none."""

from __future__ import annotations

import gzip
import os

import pytest
from apache_beam.io.localfilesystem import LocalFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.input_files import InputError, InputFile, match_inputs, open_file, pieces


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jsonl", "a.jsonl", "c.json", "d.jsonl.gz", "e.JSON.GZ", "sub/f.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"12345")
    return tmp_path


def names(files):
    return [os.path.basename(file.path) for file in files]  # noqa: PTH119 - also of gs://…


def test_a_glob_names_files_in_the_order_of_their_paths(folder):
    assert names(match_inputs([f"{folder}/*.jsonl"])) == ["a.jsonl", "b.jsonl"]
    assert names(match_inputs([f"{folder}/?.json*"])) == [
        "a.jsonl",
        "b.jsonl",
        "c.json",
        "d.jsonl.gz",
    ]
    assert names(match_inputs([f"{folder}/[bc].json*"])) == ["b.jsonl", "c.json"]
    assert names(match_inputs([f"{folder}/**/f.jsonl"])) == ["f.jsonl"]


def test_a_file_that_several_inputs_name_is_read_once(folder, monkeypatch):
    monkeypatch.chdir(folder)
    found = match_inputs(["a.jsonl", f"{folder}/a.jsonl", "./*.jsonl", "sub/../a.jsonl"])
    assert names(found) == ["a.jsonl", "b.jsonl"]


def test_a_link_and_what_it_links_to_are_one_file(folder):
    (folder / "link.jsonl").symlink_to(folder / "a.jsonl")
    assert len(match_inputs([f"{folder}/link.jsonl", f"{folder}/a.jsonl"])) == 1


def test_folders_in_a_glob_are_passed_over(folder):
    (folder / "g.jsonl").mkdir()
    assert names(match_inputs([f"{folder}/*.jsonl"])) == ["a.jsonl", "b.jsonl"]


def test_sizes_are_known_and_empty_files_are_named(folder):
    (folder / "a.jsonl").write_bytes(b"")
    assert [file.size for file in match_inputs([f"{folder}/*.jsonl"])] == [0, 5]


def test_a_name_with_the_marks_of_a_glob_is_found_as_it_stands(folder):
    (folder / "x[1].jsonl").write_bytes(b"12345")
    assert names(match_inputs([f"{folder}/x[1].jsonl"])) == ["x[1].jsonl"]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("{folder}/*.csv", "no file matches {folder}/*.csv"),
        ("{folder}/none.jsonl", "no file matches {folder}/none.jsonl"),
        ("{folder}/none/*.jsonl", "no file matches {folder}/none/*.jsonl"),
        ("{folder}", "{folder} is a folder; name its files, for example {folder}/*.jsonl"),
        ("{folder}/g.*", "no file matches {folder}/g.*"),
        ("{folder}/go*", "{folder}/gone.jsonl cannot be read: No such file or directory"),
        ("{folder}/gone.jsonl", "{folder}/gone.jsonl cannot be read: No such file or directory"),
        ("{folder}/pipe.jsonl", "{folder}/pipe.jsonl is no regular file"),
        ("", "no file matches ''"),
        ("nowhere://a/*.jsonl", "nowhere://a/*.jsonl cannot be listed: "),
    ],
)
def test_an_input_that_names_no_file_is_told_in_a_sentence(folder, pattern, says):
    (folder / "g.jsonl").mkdir()
    (folder / "gone.jsonl").symlink_to(folder / "nothing")
    os.mkfifo(folder / "pipe.jsonl")
    with pytest.raises(InputError) as error:
        match_inputs([f"{folder}/b.jsonl", pattern.format(folder=folder)])
    assert str(error.value).startswith(says.format(folder=folder))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("path", "is_gzip", "is_lines"),
    [
        ("a.jsonl", False, True),
        ("a.json", False, False),
        ("a.jsonl.gz", True, True),
        ("a.json.gz", True, False),
        ("A.JSON.GZ", True, False),
        ("a.ndjson", False, True),
        ("a.txt", False, True),
    ],
)
def test_the_name_says_how_a_file_is_read(path, is_gzip, is_lines):
    file = InputFile(path, 1)
    assert (file.is_gzip, file.is_lines) == (is_gzip, is_lines)


@settings(max_examples=60)
@given(st.integers(1, 10**5), st.integers(1, 10**5))
def test_pieces_cover_a_file_once_and_none_is_much_smaller_than_another(size, wanted):
    found = list(pieces([InputFile("a.jsonl", size)], wanted))
    if size <= wanted:
        assert [(piece.start, piece.end) for piece in found] == [(0, None)]
        return
    edges = [piece.start for piece in found] + [found[-1].end]
    assert edges[0] == 0
    assert edges[-1] == size
    assert [piece.end for piece in found] == edges[1:]
    lengths = [piece.end - piece.start for piece in found]
    assert max(lengths) <= wanted
    assert max(lengths) - min(lengths) <= 1


def test_what_cannot_be_split_is_one_piece_and_empty_files_are_none():
    files = [InputFile(name, 100) for name in ("a.json", "b.jsonl.gz", "c.json.gz")]
    found = list(pieces([*files, InputFile("d.jsonl", 0), InputFile("e.json", 0)], 10))
    assert [(piece.file, piece.start, piece.end) for piece in found] == [
        (file, 0, None) for file in files
    ]


def test_a_file_is_opened_as_it_is_stored(folder):
    with open_file(InputFile(f"{folder}/d.jsonl.gz", 5)) as stream:
        assert stream.read() == b"12345"


class FolderFileSystem(LocalFileSystem):
    """A file system of Beam's kind, with addresses such as `folder://tmp/a.jsonl`."""

    @classmethod
    def scheme(cls):
        return "folder"

    def match(self, patterns, limits=None):
        found = super().match([pattern.removeprefix("folder:/") for pattern in patterns], limits)
        for result in found:
            for metadata in result.metadata_list:
                metadata.path = f"folder:/{metadata.path}"
        return found

    def open(self, path, mime_type="", compression_type="auto"):
        return super().open(path.removeprefix("folder:/"), mime_type, compression_type)


def test_files_of_beams_other_file_systems_are_found_and_opened_as_they_are_stored(folder):
    (folder / "d.jsonl.gz").write_bytes(gzip.compress(b"12345", mtime=0))
    found = match_inputs([f"folder:/{folder}/*.gz", f"folder:/{folder}/d.jsonl.gz"])
    assert found == [InputFile(f"folder:/{folder}/d.jsonl.gz", 25)]
    with open_file(found[0]) as stream:
        assert stream.read() == gzip.compress(b"12345", mtime=0)
    with pytest.raises(InputError, match=r"^no file matches folder:/"):
        match_inputs([f"folder:/{folder}/*.csv"])
    (folder / "d.jsonl.gz").unlink()
    with pytest.raises(InputError, match=r"d.jsonl.gz cannot be read: "):
        open_file(found[0])


def test_a_name_that_is_not_utf8_is_told_in_a_sentence(folder):
    os.close(os.open(os.fsencode(folder) + b"/z\xff.jsonl", os.O_CREAT | os.O_WRONLY))
    with pytest.raises(InputError, match="its name is not UTF-8"):
        match_inputs([f"{folder}/z*.jsonl"])


def test_a_file_that_cannot_be_opened_is_told_in_a_sentence(folder):
    for path, reason in (
        (f"{folder}/gone.jsonl", "No such file or directory"),
        (f"{folder}/sub", "Is a directory"),
        (f"{folder}/a.jsonl/b.jsonl", "Not a directory"),
    ):
        with pytest.raises(InputError) as error:
            open_file(InputFile(path, 5))
        assert str(error.value) == f"{path} cannot be read: {reason}"
    with pytest.raises(InputError, match="cannot be read: "):
        open_file(InputFile(f"nowhere://{folder}/gone.jsonl", 5))
