"""What kind of thing a class of ImageNet is: a mouse may be an animal, and there it is an object.

WordNet numbers its nouns by subject, so that the ids of ImageNet's thousand classes fall into runs
of one kind each.
"""

from __future__ import annotations

import re
from typing import Final

_RUNS: Final = (
    ("n01440764", "n01498041", "fish"),
    ("n01514668", "n01622779", "bird"),
    ("n01629819", "n01644900", "amphibian"),
    ("n01664065", "n01669191", "turtle"),
    ("n01675722", "n01695060", "lizard"),
    ("n01697457", "n01698640", "crocodile"),
    ("n01704323", "n01704323", "dinosaur"),
    ("n01728572", "n01756291", "snake"),
    ("n01768244", "n01784675", "arthropod"),
    ("n01795545", "n01860187", "bird"),
    ("n01871265", "n01883070", "mammal"),
    ("n01910747", "n01968897", "invertebrate"),
    ("n01978287", "n01990800", "crustacean"),
    ("n02002556", "n02058221", "bird"),
    ("n02066245", "n02077923", "mammal"),
    ("n02085620", "n02113978", "dog"),
    ("n02114367", "n02120505", "mammal"),
    ("n02123045", "n02130308", "cat"),
    ("n02132136", "n02134418", "bear"),
    ("n02137549", "n02138441", "mammal"),
    ("n02165105", "n02281787", "insect"),
    ("n02317335", "n02321529", "echinoderm"),
    ("n02325366", "n02510455", "mammal"),
    ("n02514041", "n02655020", "fish"),
    ("n02666196", "n07248320", "object"),
    ("n07565083", "n07932039", "food"),
    ("n09193705", "n09472597", "landscape"),
    ("n09835506", "n10565667", "person"),
    ("n11879895", "n12768682", "plant"),
    ("n12985857", "n13054560", "fungus"),
    ("n13133613", "n13133613", "plant"),
    ("n15075141", "n15075141", "object"),
)

_MAMMALS: Final = frozenset({"mammal", "dog", "cat", "bear"})
_REPTILES: Final = frozenset({"turtle", "lizard", "crocodile", "dinosaur", "snake"})
_NOT_ANIMALS: Final = frozenset({"object", "food", "landscape", "person", "plant", "fungus"})
_ALSO_CALLED: Final = {
    "dog": "breed canine pet",
    "cat": "feline pet",
    "amphibian": "frog toad salamander newt",
    "turtle": "tortoise",
    "crocodile": "alligator crocodilian",
    "arthropod": "spider arachnid bug",
    "crustacean": "crab lobster shellfish seafood",
    "invertebrate": "mollusc mollusk worm snail",
    "insect": "bug beetle butterfly",
    "object": "thing artifact artefact machine device tool vehicle car ship boat plane aircraft "
    "instrument music clothing clothes garment dress furniture building structure toy weapon "
    "sport sports ball container kitchen appliance equipment hardware construction electronics",
    "food": "dish meal fruit vegetable drink",
    "landscape": "place nature geology landform",
    "plant": "flower fruit tree vegetable",
    "fungus": "mushroom fungi",
}


def kind_of(wnid: str) -> str:
    """The kind of an ImageNet class, such as `bird`, for people; empty for any other id."""
    return next((kind for first, last, kind in _RUNS if first <= wnid.lower() <= last), "")


def words_for(wnid: str) -> frozenset[str]:
    """Words that people write after a class's name to say what kind it is, in lower case."""
    kind = kind_of(wnid)
    words = {kind, *_ALSO_CALLED.get(kind, "").split()} - {""}
    if kind and kind not in _NOT_ANIMALS:
        words.add("animal")
    if kind in _MAMMALS:
        words.add("mammal")
    if kind in _REPTILES:
        words.add("reptile")
    return frozenset(words)


_IRREGULAR: Final = {
    "mice": "mouse",
    "geese": "goose",
    "oxen": "ox",
    "teeth": "tooth",
    "feet": "foot",
    "children": "child",
    "people": "person",
    "fungi": "fungus",
    "cacti": "cactus",
}
_ENDINGS: Final = (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", ""))
_MEN: Final = re.compile(r"men$")


def other_numbers(name: str) -> list[str]:
    """Forms of a name in singular, then in plural: its last word, as English makes them."""
    start, word = re.fullmatch(r"(.*?)([^\W_]*)", name.casefold(), re.DOTALL).groups()  # type: ignore[union-attr]
    singular = [_IRREGULAR[word]] if word in _IRREGULAR else []
    singular += [word[: -len(end)] + other for end, other in _ENDINGS if word.endswith(end)]
    singular += [_MEN.sub("man", word)] if word.endswith("men") else []
    plural = [plural for plural, one in _IRREGULAR.items() if one == word]
    plural += [f"{word}s", f"{word}es"]
    return [start + form for form in (*singular, *plural) if len(form) > 1]
