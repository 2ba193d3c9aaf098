"""Strict YAML: every fault found, each with its line, its key path and a remedy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from daemon.settings import yamlfile
from daemon.settings.yamlfile import MAX_BYTES, MAX_DEPTH, Document, check, dotted, parse


class Frame(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    width: int = 1
    colour: str = "oak"


class Wall(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    height: float
    frame: Frame = Frame()
    frames: list[Frame] = []
    label: str | None = None


def faults(text: str | bytes, model: type[BaseModel] | None = None) -> list[str]:
    """What is wrong with a document, as people read it."""
    document = parse(text.encode() if isinstance(text, str) else text, "f.yaml")
    if model is not None:
        check(model, document)
    return [str(fault) for fault in document.faults]


def test_plain_values_are_read_with_their_lines() -> None:
    document = parse(b"a: 1\nb:\n  c: [x, 2.5]\n  d: true\n", "f.yaml")
    assert document.data == {"a": 1, "b": {"c": ["x", 2.5], "d": True}}
    assert document.lines == {
        ("a",): 1,
        ("b",): 2,
        ("b", "c"): 3,
        ("b", "c", 0): 3,
        ("b", "c", 1): 3,
        ("b", "d"): 4,
    }
    assert document.faults == []


@pytest.mark.parametrize("content", [b"", b"# only a comment\n", b"\xef\xbb\xbf"])
def test_empty_document_is_an_empty_mapping(content: bytes) -> None:
    document = parse(content, "f.yaml")
    assert (document.data, document.faults) == ({}, [])


def test_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert parse(b"\xef\xbb\xbfa: 1\n", "f.yaml").data == {"a": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e6", 1e6),
        ("-2E-3", -2e-3),
        ("1.5e+3", 1500.0),
        (".5", 0.5),
        ("1e6x", "1e6x"),
        ("1.0", 1.0),
        ("144", 144),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("007.5", 7.5),
        (".inf", float("inf")),
        ("!!int 144", 144),
        ("!!float 2", 2.0),
    ],
)
def test_numbers_are_numbers(text: str, value: object) -> None:
    found = parse(f"a: {text}\n".encode(), "f.yaml").data["a"]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "0144",
        "-010",
        "08",
        "1:03",
        "1:03.5",
        "0o144",
        "0x90",
        "0b11",
        "1_000",
        "1_0.5",
        "1_000e3",
        "2024-01-01",
        "2024-01-01 10:30:00",
    ],
)
def test_what_is_no_decimal_number_is_text_as_it_was_written(text: str) -> None:
    """YAML 1.1 has 100 for 0144 and 63 for 1:03: other numbers than those who write them mean."""
    assert parse(f"a: {text}\n".encode(), "f.yaml").data == {"a": text}


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("0144", "; write 144"),
        ("08", "; write 8"),
        ("-010", "; write -10"),
        ("0x90", "; write 144"),
        ("0o144", "; write 100"),
        ("0b11", "; write 3"),
        ("1_000", "; write 1000"),
        ("1:03", ""),
        ("0x", ""),
        ("_", ""),
    ],
)
def test_number_that_is_no_decimal_one_says_what_to_write(text: str, advice: str) -> None:
    assert faults(f"height: 1\nframe: {{width: {text}}}\n", Wall) == [
        f"f.yaml:2: frame.width: must be a whole number, not '{text}'{advice}"
    ]
    if advice:
        assert faults(f"a: !!int {text}\n") == [
            f"f.yaml:1: a: cannot be read: '{text}' is no decimal number{advice}"
        ]


@pytest.mark.parametrize(("value", "shown"), [("no", "false"), ("144", "144"), ("1.5", "1.5")])
def test_value_that_is_no_text_says_to_put_quotes_around_it(value: str, shown: str) -> None:
    assert faults(f"height: 1\nlabel: {value}\n", Wall) == [
        f"f.yaml:2: label: must be text, not {shown}; put quotes around it if it is text"
    ]


def test_missing_text_says_to_put_quotes_around_what_stands_for_it() -> None:
    assert faults("height: 1\nframe: {colour: NULL}\n", Wall) == [
        "f.yaml:2: frame.colour: must be text, not null; put quotes around it if it is text"
    ]


def test_key_that_stands_twice_names_both_lines() -> None:
    assert faults("a: 1\nb: 2\na: 3\n") == ["f.yaml:3: a: stands twice (first in line 1); keep one"]


def test_nested_key_that_stands_twice_is_found() -> None:
    (fault,) = faults("a:\n  - b: 1\n    b: 2\n")
    assert fault.startswith("f.yaml:3: a[0].b: stands twice")


def test_same_key_at_two_places_is_fine() -> None:
    assert faults("a: {x: 1}\nb: {x: 2}\n") == []


def test_aliases_are_refused_before_anything_is_built() -> None:
    bomb = "a: &a [x, x]\n" + "\n".join(
        f"{new}: &{new} [*{old}, *{old}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert faults(bomb) == ["f.yaml:2: aliases (*name) are not allowed; write the value out"]


def test_depth_is_limited() -> None:
    def nested(levels: int) -> str:
        return "a: " + "[" * levels + "]" * levels

    assert faults(nested(MAX_DEPTH - 1)) == []
    assert faults(nested(MAX_DEPTH)) == [f"f.yaml:1: is nested deeper than {MAX_DEPTH} levels"]
    assert len(faults(nested(20_000))) == 1


def test_size_is_limited() -> None:
    assert faults("a: " + "x" * (MAX_BYTES - 3)) == []
    (fault,) = faults("a: " + "x" * MAX_BYTES)
    assert f"at most {MAX_BYTES} are read" in fault


def test_text_that_is_not_utf8_is_refused() -> None:
    assert faults("größe: 1".encode("latin-1")) == [
        "f.yaml:1: is not UTF-8 text (byte 2); save it as UTF-8"
    ]


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "42", "[a, b]"])
def test_document_that_is_no_mapping_is_refused(text: str) -> None:
    assert faults(text) == ["f.yaml:1: must be a list of `key: value` lines"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: [1,\n", 3),
        ("a: 1\n\tb: 2\n", 2),
        ("a: 'x\n", 2),
        ("a: b: c\n", 1),
        ("a: 1\n--- \nb: 2\n", 2),
    ],
)
def test_what_is_not_yaml_names_the_line(text: str, line: int) -> None:
    (fault,) = faults(text)
    assert fault.startswith(f"f.yaml:{line}: is not YAML: ")


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/name:os.system ''",
        "a: !!int ''",
        "a: !!float ''",
        "a: !!bool perhaps",
        "a: !!timestamp soon",
        f"a: {'9' * 5000}",
        "a: !!float " + "1:" * 300 + "59.5",
        "? [x]\n: 1",
        "a: !!map x",
        "a: !!omap x",
    ],
)
def test_value_that_cannot_be_read_is_a_fault_in_its_line(text: str) -> None:
    (fault,) = faults(f"# above\n{text}\n")
    assert fault.startswith("f.yaml:2: ")


@pytest.mark.parametrize("number", ["9" * 5000, "!!int 0x" + "f" * 5000])
def test_number_that_nobody_can_mean_is_refused(number: str) -> None:
    text = f"label: x\nheight: {number}\n"
    assert faults(text, Wall)[0] == (
        f"f.yaml:2: height: has {len(number.split()[-1])} characters, too many for a number"
    )


def test_character_beyond_unicode_is_a_fault() -> None:
    for escape in ("\\U00110000", "\\UFFFFFFFF"):
        assert faults(f'a: "{escape}"\n') == [
            "f.yaml:1: is not YAML: it has an escape beyond the last character, or a huge version"
        ]


def test_faults_are_one_line_each_in_plain_words() -> None:
    assert faults("a: !!python/name:os.system ''\n") == [
        "f.yaml:1: a: cannot be read: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/name:os.system'"
    ]
    assert faults(b"a: 1\nb: x\0y\n") == [
        "f.yaml:2: is not YAML: special characters are not allowed (U+0000)"
    ]
    assert faults('height: 1\n"a\\nb\\e[2J": 1\n', Frame)[1].startswith(
        "f.yaml:2: a\\nb\\x1b[2J: unknown key; known are"
    )


def test_faults_stay_short_whatever_the_file_says() -> None:
    document = parse(f"height: 1\n? {'k' * 60_000}\n: 1\n".encode(), "f.yaml")
    check(Wall, document)
    assert len(str(document.faults[0])) < 200


def test_tag_of_a_collection_is_never_obeyed() -> None:
    document = parse(b"a: !!python/object/apply:os.system [ls]\nb: !!set {x: 1}\n", "f.yaml")
    assert document.data == {"a": ["ls"], "b": {"x": 1}}


@given(st.binary(max_size=200))
def test_parsing_arbitrary_bytes_never_raises(content: bytes) -> None:
    document = parse(content, "f.yaml")
    assert isinstance(document.data, dict)


@given(st.text(alphabet="ab:[]{}!&*#-?|>'\"%@ \n0123456789.eE_\\x<=~", max_size=60))
def test_parsing_anything_that_looks_like_yaml_never_raises(text: str) -> None:
    document = parse(text.encode(), "f.yaml")
    assert all(fault.line >= 1 and fault.message for fault in document.faults)


def test_every_fault_is_reported_at_once_in_its_line() -> None:
    text = "height: tall\nframe:\n  width: wide\n  colur: red\nframes:\n  - {width: 1}\n  - 3\n"
    assert faults(text, Wall) == [
        "f.yaml:1: height: must be a number, not 'tall'",
        "f.yaml:3: frame.width: must be a whole number, not 'wide'",
        "f.yaml:4: frame.colur: unknown key; did you mean `colour`?",
        "f.yaml:7: frames[1]: must be a section: keys with their values, not 3",
    ]


def test_faults_of_form_and_of_content_are_reported_together() -> None:
    text = "height: 2\nheight: 3\nlabel: 7\n"
    assert [fault.split(":")[1] for fault in faults(text, Wall)] == ["2", "3"]


def test_unknown_key_names_the_nearest_known_one() -> None:
    assert faults("height: 1\nlable: x\n", Wall) == [
        "f.yaml:2: lable: unknown key; did you mean `label`?"
    ]


def test_unknown_key_in_a_list_names_the_nearest_key_there() -> None:
    assert faults("height: 1\nframes:\n- widht: 2\n", Wall) == [
        "f.yaml:3: frames[0].widht: unknown key; did you mean `width`?"
    ]


def test_unknown_key_like_no_other_lists_the_known_ones() -> None:
    assert faults("height: 1\nzzz: x\n", Wall) == [
        "f.yaml:2: zzz: unknown key; known are: height, frame, frames, label"
    ]


def test_missing_key_is_named() -> None:
    assert faults("label: x\n", Wall) == ["f.yaml:1: height: is missing; add it"]


def test_missing_nested_key_is_named_at_its_place() -> None:
    class Picture(BaseModel):
        image: str

    class Show(BaseModel):
        pictures: list[Picture]

    assert faults("pictures:\n- {image: a}\n- {name: b}\n", Show) == [
        "f.yaml:3: pictures[1].image: is missing; add it"
    ]


def test_long_values_are_shortened() -> None:
    (fault,) = faults(f"height: {'x' * 500}\n", Wall)
    assert len(fault) < 130 and fault.endswith("...")


def test_good_document_becomes_the_model() -> None:
    document = parse(b"height: 2\nframe: {width: 3}\n", "f.yaml")
    assert check(Wall, document) == Wall(height=2, frame=Frame(width=3))


def test_document_with_faults_becomes_no_model() -> None:
    assert check(Wall, parse(b"height: 2\nheight: 3\n", "f.yaml")) is None


def test_line_of_an_unwritten_key_is_the_line_around_it() -> None:
    document = parse(b"a: 1\nb:\n  c: 2\n", "f.yaml")
    assert document.line_of(("b", "missing")) == 2
    assert document.line_of(("missing",)) == 1


def test_key_paths_are_written_as_people_write_them() -> None:
    assert dotted(("styles", 0, "image")) == "styles[0].image"
    assert dotted(()) == ""


def test_documents_do_not_share_what_was_wrong() -> None:
    Document("a").fault("wrong")
    assert Document("b").faults == []
    assert yamlfile.unknown_key("x", []) == "unknown key; known are: "
