"""A recipe in words that a person understands who has never seen its fields. Pure."""

from collections.abc import Sequence
from typing import Any

from daemon.outbox.gallery.reading import Data, listed, mapping, number, text
from daemon.outbox.gallery.view import Fact

COLORS = {
    "content": "It has the photograph's colours, under the painting's light and dark.",
    "luminance": "Only light and dark were painted; the colours are the photograph's.",
    "match": "The style was recoloured to the photograph first.",
}
STARTS = {
    "noise": "from noise",
    "style": "from the style image",
    "learnt": "from a first picture of a learnt network",
}
FORMATS = {"jpeg": "JPEG", "png": "PNG", "webp": "WebP", "tiff": "TIFF"}


def recipe_in_words(record: Data) -> tuple[str, ...]:
    """Sentences that tell how a picture was painted, or was to be; none without a recipe."""
    recipe = mapping(record.get("recipe"))
    if not recipe:
        return ()
    sentences = [painted_after(record, recipe), size_and_steps(record, recipe), *wishes(recipe)]
    if colors := COLORS.get(str(recipe.get("colors"))):
        sentences.append(colors)
    sentences += form_of(recipe)
    return tuple(filter(None, sentences))


def painted_after(record: Data, recipe: Data) -> str:
    """After which style images, and how strongly."""
    styles = [mapping(one) for one in listed(record.get("styles"))]
    names = [style_in_words(one, several=len(styles) > 1) for one in styles]
    after = joined(list(filter(None, names))) or f"the preset {text(record.get('preset'))}"
    alpha, beta = number(recipe.get("alpha")), number(recipe.get("beta"))
    weights = ""
    if alpha is not None and beta is not None:
        weights = f", with the style {beta:g} times as strong as the photograph"
        weights = weights if alpha == 1 else f", at alpha {alpha:g} and beta {beta:g}"
    what = "the mean and covariance of its features"
    what = "Gram matrices" if recipe.get("statistics") == "gram" else what
    return f"Painted after {after}{weights}; what is matched is {what}."


def style_in_words(style: Data, *, several: bool) -> str:
    """A style image, its weight and its region where they tell it from others."""
    name, weight, region = text(style.get("name")), number(style.get("weight")), style.get("region")
    told = [f"weight {weight:g}"] if several and weight is not None else []
    told += [f"region {text(region)}"] if region else []
    return f"{name} ({', '.join(told)})" if name and told else name


def size_and_steps(record: Data, recipe: Data) -> str:
    """How large, from what, in how many steps of what."""
    passes = listed(record.get("passes"))
    size = recipe.get("size")
    large = (
        "At the photograph's own size" if size == "original" else f"{size} px on its longest side"
    )
    start = STARTS.get(str(recipe.get("init")), "from the photograph")
    start = STARTS.get(str(record.get("start")), start)
    by = "Adam" if recipe.get("optimizer") == "adam" else "L-BFGS"
    steps = sum(int(number(mapping(one).get("steps")) or 0) for one in passes)
    if not steps:
        return f"{large}, {start}, by {by}."
    over = f" over {len(passes)} sizes" if len(passes) > 1 else ""
    return f"{large}, {start}, in {steps} steps of {by}{over}."


def wishes(recipe: Data) -> list[str]:
    """What was asked for beside style and content."""
    asked = []
    scale = recipe.get("style_scale", 1.0)
    if isinstance(scale, list):
        asked.append(f"Strokes of several sizes: {joined([f'{one}' for one in scale])}.")
    elif isinstance(scale, int | float) and scale != 1:
        asked.append(
            f"{'Larger' if scale > 1 else 'Finer'} strokes: the style at {scale:g} times its size."
        )
    if is_more(recipe.get("match")):
        asked.append(
            f"Each part drawn to the style's part that is most like it (match {recipe['match']:g})."
        )
    if is_more(recipe.get("edges")):
        asked.append(f"The photograph's lines are kept (edges {recipe['edges']:g}).")
    if is_more(recipe.get("faces")):
        asked.append(f"Faces keep more of the photograph (faces {recipe['faces']:g}).")
    tv = recipe.get("tv")
    if tv == "auto":
        asked.append("Smoothed where it varied more than style and photograph do.")
    elif is_more(tv):
        asked.append(f"Smoothed (tv {tv:g}).")
    return asked


def form_of(recipe: Data) -> list[str]:
    """How the result is written, where that was asked for."""
    told = []
    if form := FORMATS.get(str(recipe.get("format"))):
        told.append(f"as {form}")
    if recipe.get("depth") in (8, 16):
        told.append(f"in {recipe['depth']} bits")
    profile = recipe.get("profile")
    if isinstance(profile, str) and profile != "keep":
        told.append(f"in the colours of {'sRGB' if profile == 'srgb' else text(profile)}")
    return [f"Written {joined(told)}."] if told else []


def is_more(value: Any) -> bool:
    """Whether a weight is above zero."""
    found = number(value)
    return found is not None and found > 0


def joined(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def fields_of(recipe: Data) -> tuple[Fact, ...]:
    """Every field of a recipe, as a preset would have it."""
    return tuple(Fact(text(name), value_in_words(value)) for name, value in recipe.items())


def value_in_words(value: Any) -> str:
    """A field's value as YAML has it, more or less."""
    match value:
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{text(key)}: {value_in_words(one)}" for key, one in value.items())
        case list():
            return ", ".join(map(value_in_words, value))
        case int() | float():
            return f"{value:g}" if isinstance(value, float) else str(value)
        case str():
            return text(value) or "none"
        case _:
            return "none"
