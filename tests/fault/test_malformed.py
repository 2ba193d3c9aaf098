"""Files that are broken, or made to break things: each is answered, and nothing dies of it.

Pictures go through the real child that decodes; one that hangs there hangs the test. YAML goes
through all that reads it. Every case is the same in every run.
"""

import io
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from daemon.engine.errors import PictureError
from daemon.errors import FaultsError, PresetError
from daemon.intake.decode import Decoder, Verdict
from daemon.intake.preset_choice import Naming, choose, read_sidecar
from daemon.pictures.form import JobRecipe
from daemon.pictures.formats import READABLE, SUFFIXES, suffix_format
from daemon.pictures.read import read_header
from daemon.settings.config import Config, Limits, load_config
from daemon.settings.presets import Preset, PresetFile, Shelf, StyleEntry, override, read_preset
from tests.support import malformed, malformed_deep
from tests.support.atelier import memory_bytes, peak_memory_bytes
from tests.support.malformed import Malformed

LARGEST_PX = 500
MAX_PIXELS = LARGEST_PX**2
HANGS_S = 60.0
"""The worst takes a fraction of a second, of a machine that has nobody else to serve."""
SLACK_BYTES = 96 << 20
LEAK_BYTES = 8 << 20
LONGEST_FAULT = 2000
SAME_EVERY_TIME = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=400,
    suppress_health_check=list(HealthCheck),
)


class Bench:
    """Judges one file after another with one decoder, and keeps count."""

    def __init__(self, folder: Path) -> None:
        self.decoder = Decoder(MAX_PIXELS, timeout_s=HANGS_S)
        self.folder = folder
        self.count = 0
        self.wrong: list[str] = []
        self.pid = self._started()
        self.most_bytes = peak_memory_bytes(self.pid)

    def _started(self) -> int:
        """The child after it has decoded a sound picture of the limit in every format.

        What that takes is what a malformed one may take too.
        """
        for name, content in large_pictures():
            verdict = self.decode(Malformed(name, content))
            assert (verdict.width_px, verdict.height_px) == (LARGEST_PX, LARGEST_PX), verdict
        assert self.decoder._child is not None
        return self.decoder._child.pid

    def decode(self, case: Malformed) -> Verdict:
        path = self.folder / case.name
        path.write_bytes(case.content)
        verdict = self.decoder.decode(path, case.name)
        path.unlink()
        return verdict

    def judge(self, case: Malformed) -> None:
        """Notes what is wrong with the answer to a case."""
        self.count += 1
        try:
            verdict = self.decode(case)
        except Exception as error:
            self.wrong.append(f"{case.name} raised {error!r}")
            return
        self.wrong += [f"{case.name}: {what}" for what in complaints(verdict, case.name)]

    def judge_all(self, cases: Iterable[Malformed]) -> None:
        for case in cases:
            self.judge(case)

    def assert_unharmed(self) -> None:
        """Every answer was right, by the child that was there at first, in bounded memory."""
        assert not self.wrong, "\n".join(self.wrong)
        assert self.decoder._child is not None and self.decoder._child.pid == self.pid
        peak_bytes = peak_memory_bytes(self.pid)
        assert peak_bytes <= self.most_bytes + SLACK_BYTES, f"{peak_bytes >> 20} MiB"


def large_pictures() -> Iterator[tuple[str, bytes]]:
    """A sound picture of as many pixels as are allowed, in every format and depth."""
    photo = malformed.photograph(LARGEST_PX, LARGEST_PX)
    for form in READABLE:
        yield f"large{SUFFIXES[form][-1]}", malformed.encoded(photo, form, method=0, quality=20)
    yield "large-deep.png", malformed.encoded(photo.convert("I;16"), "PNG")
    yield "large-clear.png", malformed.encoded(photo.convert("RGBA"), "PNG")
    for name, content in malformed_deep.sound_deep_pictures(LARGEST_PX, LARGEST_PX).items():
        if name != "plain.psd":  # of which each row is as short as a small one's
            yield f"large-{name}", content


def complaints(verdict: Verdict, name: str) -> Iterator[str]:
    """What is wrong with a verdict as an answer."""
    if not verdict.fault:
        if min(verdict.width_px, verdict.height_px) < 16:
            yield f"neither a size nor a fault: {verdict}"
        if verdict.width_px * verdict.height_px > MAX_PIXELS:
            yield f"over the limit: {verdict}"
        return
    if "took more than" in verdict.fault:
        yield verdict.fault
    if name not in verdict.fault:
        yield f"no file is named: {verdict.fault}"
    yield from unreadable(verdict.fault)


def unreadable(fault: str) -> Iterator[str]:
    """What keeps a fault from being one paragraph of plain text."""
    if not fault.isprintable():
        yield f"not one line of plain text: {fault!r}"
    if not fault.strip() or len(fault) > LONGEST_FAULT:
        yield f"a fault of {len(fault)} characters: {fault[:200]}"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    found = Bench(tmp_path_factory.mktemp("malformed"))
    yield found
    found.decoder.close()


def test_thousands_of_malformed_pictures_are_answered_by_one_decoder(bench: Bench) -> None:
    before, damaged = bench.count, list(malformed.mutations(1000))
    assert {suffix_format(case.name) for case in damaged} == set(READABLE)
    bench.judge_all(malformed.misnamed())
    bench.judge_all(malformed.crafted())
    bench.judge_all(damaged[:750])
    half_bytes, own_bytes = peak_memory_bytes(bench.pid), memory_bytes(os.getpid())
    bench.judge_all(damaged[750:])
    bench.assert_unharmed()
    assert bench.count - before >= 3000
    assert peak_memory_bytes(bench.pid) <= half_bytes + LEAK_BYTES
    assert memory_bytes(os.getpid()) <= own_bytes + LEAK_BYTES


def test_thousands_of_malformed_deep_pictures_are_answered_by_one_decoder(bench: Bench) -> None:
    before = bench.count
    bench.judge_all(malformed_deep.crafted_deep())
    bench.judge_all(malformed_deep.deep_mutations(500))
    half_bytes, own_bytes = peak_memory_bytes(bench.pid), memory_bytes(os.getpid())
    bench.judge_all(malformed_deep.deep_mutations(1000))
    bench.assert_unharmed()
    assert bench.count - before >= 3000
    assert peak_memory_bytes(bench.pid) <= half_bytes + LEAK_BYTES
    assert memory_bytes(os.getpid()) <= own_bytes + LEAK_BYTES


def test_tags_of_any_kind_and_count_are_answered(bench: Bench) -> None:
    """TIFF and EXIF are trees of offsets: hypothesis grows them wild."""
    before = bench.count
    values = st.one_of(
        st.sampled_from([0, 1, 8, malformed.TAIL, 0x7FFFFFFF, 0xFFFFFFFF]),
        st.integers(0, 2**32 - 1),
    )
    fields = st.tuples(st.integers(0, 20), values, values)
    trees = st.dictionaries(st.sampled_from(malformed.TAGS), fields | st.none(), max_size=4)

    @SAME_EVERY_TIME
    @given(trees, values, st.binary(max_size=200))
    def judge(changes: dict[int, tuple[int, int, int] | None], following: int, end: bytes) -> None:
        content = malformed.tiff(changes, following=following, tail=end + bytes(4000))
        bench.judge(Malformed(f"tree-{bench.count}.tif", content))
        bench.judge(Malformed(f"tree-{bench.count}.jpg", malformed.jpeg_with_exif(content)))

    judge()
    bench.assert_unharmed()
    assert bench.count - before >= 800


def test_rubbish_behind_any_beginning_is_answered(bench: Bench) -> None:
    before, beginnings = bench.count, sorted(malformed.sound_pictures().items())

    @SAME_EVERY_TIME
    @given(st.sampled_from(beginnings), st.integers(0, 200), st.binary(max_size=400))
    def judge(beginning: tuple[str, bytes], kept: int, rubbish: bytes) -> None:
        name, whole = beginning
        bench.judge(Malformed(f"rubbish-{bench.count}-{name}", whole[:kept] + rubbish))

    judge()
    bench.assert_unharmed()
    assert bench.count - before >= 400


def test_header_of_a_style_image_never_raises_but_what_is_documented() -> None:
    cases = (
        *malformed.crafted_tiff(),
        *malformed.crafted_webp(),
        *malformed.mutations(500),
        *malformed_deep.crafted_deep(),
    )
    own_bytes = peak_memory_bytes(os.getpid())  # making them takes some too
    wrong = []
    for case in cases:
        try:
            read_header(io.BytesIO(case.content), case.name)
        except PictureError as error:
            wrong += [f"{case.name}: {what}" for what in unreadable(str(error))]
        except Exception as error:
            wrong.append(f"{case.name} raised {error!r}")
    assert not wrong, "\n".join(wrong)
    assert peak_memory_bytes(os.getpid()) <= own_bytes + SLACK_BYTES


# YAML

ODD_VALUES = {
    "not-a-number": ".nan",
    "infinite": ".inf",
    "less-than-all": "-.inf",
    "overflow": "1e999",
    "huge": "9" * 4000,
    "huger": "9" * 5000,
    "huge-in-hex": "0x" + "f" * 5000,
    "huge-in-sixties": "1" + ":59" * 2000,
    "date": "2024-02-30",
    "day": "2024-02-29",
    "moment": "2024-02-29 12:00:00 +99:99",
    "binary": "!!binary aGVsbG8=",
    "no-binary": "!!binary '*'",
    "set": "!!set {a, b}",
    "pairs": "!!pairs [a: b]",
    "map-in-map": "{a: {b: {c: d}}}",
    "list-in-list": "[[1]]",
    "object-name": "!!python/name:os.system ''",
    "unknown-tag": "!<tag:example.org,2024:x> y",
    "unknown-handle": "!e!x y",
    "merge": "<<",
    "equals": "=",
    "half-character": '"\\ud800"',
    "beyond-unicode": '"\\U00110000"',
    "beyond-all": '"\\UFFFFFFFF"',
    "unknown-escape": '"\\z"',
    "alias": "*a",
    "cut-list": "[1, 2",
    "cut-map": "{a: 1",
    "cut-text": "'x",
    "reserved": "@x",
    "map-beside": "a: b",
}
"""What no field of ours may be."""

SOME_VALUES = {
    "object": "!!python/object/apply:os.system [ls]",
    "nothing": "",
    "null": "null",
    "true": "true",
    "zero": "0",
    "below-zero": "-1",
    "least": "-9223372036854775809",
    "tiny": "1e-320",
    "octal": "0o17",
    "sixties": "1:30",
    "empty-text": "''",
    "space": "' '",
    "control": '"\\0\\e[2J\\r\\n\\u202e"',
    "long": "x" * 5000,
    "long-list": "[" + "1," * 80 + "1]",
    "texts": "[" + "x," * 80 + "x]",
    "long-map": "{" + ",".join(f"k{index}: 1" for index in range(80)) + "}",
    "empty-list": "[]",
    "empty-map": "{}",
    "block": "|\n  a\n  b\n",
    "anchor": "&a x",
    "home": "~nobody-of-that-name/x",
    "up": "../../../../etc/passwd",
    "long-path": "/".join(["x" * 300] * 20),
    "emoji": "\U0001f3a8",
}
"""What some field may be."""


def odd_documents() -> Iterator[tuple[str, bytes]]:
    """Whole files, each wrong in another way."""
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{level}: &a{level} [{f'*a{level - 1}, ' * 9}]\n" for level in range(1, 30)
    )
    yield "alias-bomb", bomb.encode()
    yield "alias-of-itself", b"a: &a [*a]\n"
    yield "alias-as-key", b"&a steps: 5\n*a : 6\n"
    yield "merge-bomb", b"a: &a {x: 1}\nb: {<<: *a}\n"
    yield "merge", b"<<: {steps: 5}\n"
    yield "merge-list", b"<<: [{steps: 5}, {steps: 6}]\nsteps: 7\n"
    for what, pair in {"lists": "[]", "maps": "{}", "half-lists": "[", "half-maps": "{"}.items():
        for depth in (11, 12, 13, 20_000):
            yield f"{depth}-{what}", b"a: " + (pair[0] * depth + pair[1:] * depth).encode()
    for depth in (11, 13, 300):
        block = "".join(" " * level + "a:\n" for level in range(depth))
        yield f"{depth}-blocks", block.encode()
        yield f"{depth}-dashes", b"a:\n" + b"- " * depth + b"x\n"
        yield f"{depth}-questions", b"? " * depth + b"x\n"
    yield "twice", b"steps: 5\nsteps: 6\n" * 300
    yield "twice-in-other-words", b"steps: 5\n'steps': 6\n? steps\n: 7\n"
    yield "megabyte", b"a: " + b"x" * (1 << 20)
    yield "megabyte-of-keys", b"".join(b"k%d: 1\n" % index for index in range(100_000))
    yield "keys", b"".join(b"k%d: 1\n" % index for index in range(1000))
    yield "keys-like-ours", b"".join(b"step%d: 1\n" % index for index in range(500))
    yield "long-list", b"steps: [" + b"1," * 1000 + b"1]\n"
    yield "names", b"presets: [" + b"x," * 1000 + b"x]\n"
    yield "devices", b"devices: [" + b"1," * 1000 + b"1]\n"
    yield "long-key", b"? " + b"k" * 20_000 + b"\n: 1\n"
    yield "keys-of-lines", b'"a\\nb\\e[2J": 1\n? |\n  a\n  b\n: 1\n'
    yield "keys-of-kinds", b"1: a\n1.0: b\ntrue: c\nnull: d\n2024-01-01: e\n'': f\n.nan: g\n"
    yield "keys-that-are-trees", b"? [a, b]\n: 1\n? {c: d}\n: 2\n"
    yield "comments", b"# x\n" * 5000
    yield "lines", b"\n" * 20_000
    yield "spaces", b" " * 20_000
    yield "colons", b":" * 20_000
    yield "colons-apart", b": " * 20_000
    yield "dashes", b"-" * 20_000
    yield "quotes", b"'" * 20_000
    yield "exclamations", b"!" * 20_000
    yield "exclamations-apart", b"! " * 20_000
    yield "ampersands", b"&a " * 20_000
    yield "commas", b"a: [" + b"," * 20_000
    yield "folded", b"a: >\n" + b" x\n\n" * 5000
    yield "escapes", b'a: "' + b"\\x41" * 5000 + b'"'
    for index, text in enumerate(("steps: 5\n", "größe: 5\n")):
        for coding in ("utf-16", "utf-16-be", "utf-32", "latin-1", "utf-7", "cp500"):
            yield f"in-{coding}-{index}", text.encode(coding)
    yield "marked-twice", b"\xef\xbb\xbf\xef\xbb\xbfsteps: 5\n"
    yield "mark-in-the-middle", "steps:\ufeff 5\n".encode()
    for code in (0x00, 0x07, 0x1B, 0x7F, 0x80, 0xFF):
        yield f"byte-{code:x}", b"steps: 5\n" + bytes([code]) + b"\n"
        yield f"byte-{code:x}-in-text", b"preset: 'a" + bytes([code]) + b"'\n"
    yield "surrogate", b"preset: \xed\xa0\x80\n"
    yield "overlong", b"preset: \xc0\x80\n"
    yield "two-documents", b"steps: 5\n---\nsteps: 6\n"
    yield "many-documents", b"---\n" * 5000
    yield "ended", b"steps: 5\n...\nx\n"
    yield "version", b"%YAML 9.9\n---\nsteps: 5\n"
    yield "huge-version", b"%YAML 1." + b"9" * 5000 + b"\n---\nsteps: 5\n"
    yield "tag-directives", b"".join(b"%%TAG !a%d! tag:x\n" % n for n in range(3000)) + b"---\n"
    yield "directive", b"%" * 1000 + b"\n---\n"
    yield "tab", b"steps:\t5\n\talpha: 6\n"
    yield "carriage-returns", b"steps: 5\ralpha: 6\r"
    yield "scalar", b"steps\n"
    yield "list", b"- steps: 5\n"
    yield "tagged", b"!!python/object:daemon.settings.config.Config {steps: 5}\n"
    yield "module", b"!!python/module:os {}\n"


class Readers:
    """Everything that reads YAML, and what it said of it."""

    def __init__(self, folder: Path) -> None:
        malformed.photograph().save(folder / "wave.png")
        self.preset_file, self.config_file = folder / "it.yaml", folder / "config.yaml"
        self.folder = folder
        self.count = 0
        self.wrong: list[str] = []

    def preset(self, content: bytes) -> None:
        self.preset_file.write_bytes(content)
        if faults := read_preset(self.preset_file).faults:
            raise PresetError(faults)

    def sidecar(self, content: bytes) -> None:
        """Raises as `read_sidecar` does, or the first fault of the choices, which must agree."""
        shelf = Shelf(self.folder, {"it": Preset("it", self.preset_file, JobRecipe(), ())}, {})
        choices = choose(Path("it/photo.jpg"), content, "photo.yaml", shelf, None)
        assert choices and all(bool(choice.fault) != bool(choice.recipe) for choice in choices)
        assert all(choice.fault.isprintable() or "\n" in choice.fault for choice in choices)
        override(JobRecipe(), read_sidecar(content, "photo.yaml").overrides)

    def config(self, content: bytes) -> None:
        self.config_file.write_bytes(content)
        load_config(self.config_file)

    def judge(
        self, what: str, reader: Callable[[bytes], None], content: bytes, *, odd: bool
    ) -> None:
        """Notes what is wrong with the answer; `odd` content must be refused."""
        self.count += 1
        case = f"{what} as {reader.__name__}"
        try:
            reader(content)
        except FaultsError as error:
            self.wrong += [f"{case}: {fault}" for fault in faults_of(error)]
        except Exception as error:
            self.wrong.append(f"{case} raised {error!r}")
        else:
            if odd:
                self.wrong.append(f"{case} was accepted")


def faults_of(error: FaultsError) -> Iterator[str]:
    """What is wrong with a refusal: of whom, where, in one line each, and not too many."""
    if not error.faults:
        yield "refused without a fault"
    if len(str(error)) > 20 * LONGEST_FAULT:
        yield f"a message of {len(str(error))} characters"
    for fault in error.faults[:100]:
        if Path(fault.file).suffix != ".yaml" or fault.line < 1 or not fault.message:
            yield f"no place or no words: {fault!r}"
        if "\n" not in fault.file:
            yield from unreadable(str(fault))
        if "Exceeds the limit" in fault.message or "unicode string" in fault.message:
            yield f"words of a library: {fault.message}"


def fields(model: type[BaseModel]) -> list[str]:
    return list(model.model_fields)


@pytest.fixture
def readers(tmp_path: Path) -> Readers:
    return Readers(tmp_path)


LONG, FEW = 150, 9
"""Values of so many characters take most of the time, and are refused as what they are whatever the
field: one place in so many tries them."""

SHARED = 3
"""A preset and a sidecar hold their fields against one model: of the values of a field of both, a
sidecar is given one in so many, in the next field the others."""

LONG_DOCUMENT = 1000
"""Documents of so many bytes are read by each reader in turn, since one parser reads for all."""

TEXTS = {"huge-in-hex", "huge-in-sixties", "date", "day", "moment"}
"""What other readers of YAML take for a number or a date is the text it is written as."""

TEXT_FIELDS = (
    "preset",
    "presets",
    "like",
    "inbox",
    "outbox",
    "state",
    "default_preset",
    "image",
    "mask",
    "proof_folder",
    "profile",
    "runs_on",
)


def test_every_field_refuses_what_it_cannot_be(readers: Readers) -> None:
    places: list[tuple[Callable[[bytes], None], str]] = [
        *(
            (readers.preset, f"styles: [{{image: wave.png}}]\n{name}: %s\n")
            for name in fields(JobRecipe)
        ),
        *((readers.preset, f"styles:\n- {name}: %s\n") for name in fields(StyleEntry)),
        *(
            (readers.preset, f"styles:\n- image: wave.png\n  {name}: %s\n")
            for name in fields(StyleEntry)
        ),
        (readers.preset, "styles: %s\n"),
        (readers.preset, "styles:\n- image: wave.png\n- %s\n"),
        (readers.preset, "styles: [{image: wave.png}]\nstyle_layers: {relu1_1: %s}\n"),
        *((readers.sidecar, f"{name}: %s\n") for name in fields(Naming)),
        (readers.sidecar, "presets:\n- %s\n"),
        *((readers.config, f"{name}: %s\n") for name in fields(Config)),
        *((readers.config, f"limits:\n  {name}: %s\n") for name in fields(Limits)),
        (readers.config, "devices:\n- %s\n"),
    ]
    places += [(readers.sidecar, f"{name}: %s\n") for name in fields(JobRecipe)]
    own_bytes = peak_memory_bytes(os.getpid())
    for number, (reader, text) in enumerate(places):
        is_shared = number >= len(places) - len(JobRecipe.model_fields)
        for at, (what, value) in enumerate((ODD_VALUES | SOME_VALUES).items()):
            is_elsewhere = is_shared and (at + number) % SHARED
            if is_elsewhere or (len(value) > LONG and number % FEW):
                continue
            content = (text % value).encode()
            is_text = what in TEXTS and any(f"{name}:" in text for name in TEXT_FIELDS)
            odd = what in ODD_VALUES and not is_text
            readers.judge(f"{what} in {text!r}", reader, content, odd=odd)
    assert not readers.wrong, "\n".join(readers.wrong)
    assert readers.count >= 2500
    assert peak_memory_bytes(os.getpid()) <= own_bytes + SLACK_BYTES


def test_documents_of_every_wrong_form_are_answered(readers: Readers) -> None:
    own_bytes = peak_memory_bytes(os.getpid())
    turns = itertools.cycle((readers.preset, readers.sidecar, readers.config))
    for what, content in odd_documents():
        for reader in itertools.islice(turns, 3 if len(content) < LONG_DOCUMENT else 1):
            readers.judge(what, reader, content, odd=False)
    assert not readers.wrong, "\n".join(readers.wrong)
    assert peak_memory_bytes(os.getpid()) <= own_bytes + SLACK_BYTES


def test_documents_of_our_words_in_any_order_are_answered(readers: Readers) -> None:
    names = [*fields(PresetFile), *fields(Naming), *fields(Config), *fields(Limits), "image"]
    words = [*names, *(v for v in (*ODD_VALUES.values(), *SOME_VALUES.values()) if len(v) < 100)]
    marks = [
        "\n",
        "\n  ",
        "\n- ",
        ": ",
        " ",
        ", ",
        "[",
        "]",
        "{",
        "}",
        "? ",
        "# ",
        "&a ",
        "!!",
        "---",
    ]
    pieces = st.sampled_from(words) | st.sampled_from(marks) | st.text(max_size=3)

    @SAME_EVERY_TIME
    @given(st.lists(pieces, max_size=30).map("".join))
    def judge(text: str) -> None:
        content = text.encode("utf-8", "surrogatepass")
        for reader in (readers.preset, readers.sidecar, readers.config):
            readers.judge(repr(text), reader, content, odd=False)

    judge()
    assert not readers.wrong, "\n".join(readers.wrong)
