"""Writes text.json: small tokenizers of every kind, trained here, and the ids that Hugging Face's library gives.

    pip install -r models/requirements.txt && python packages/pipelines/golden/text.py

The texts are sentences in several scripts, what commonly breaks tokenizers, and seeded mixtures of both with
characters from all over Unicode. Training breaks ties in no fixed order, so another run gives other tokenizers:
what is held to is that both sides agree on them.
"""

import io
import json
import random
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).resolve().parent

SENTENCES = """
The quick brown fox jumps over the lazy dog. A server answers requests; a queue holds them in order of arrival.
Nothing that was accepted is lost, and nobody waits longer than was promised. Numbers: 3.14159, 1,000,000 and 42.
Ein Straßenname mit Öl, Äpfeln und Übermut. Le café où l'été dura déjà. El niño comió jalapeños y no durmió.
Привет, мир! Как дела сегодня? Ο δρόμος είναι μακρύς. 東京都に住んでいます。 你好世界 안녕하세요 세계 हिन्दी भाषा
def main(argv): return argv[0] if len(argv) > 1 else None  # comment
Don't stop; we've been told they'll come, and I'd say that it's so.
""".strip().splitlines()
TRAINING = SENTENCES * 4

ODD = [
    "", " ", "  two  spaces\tand\ttabs\n\nlines ", "ΟΔΟΣ ΣΑΣ", "İstanbul", "STRASSE ẞ ß", "café naïve Ǆ ﬁ ½ ②", "e\u0301 a\u030a",
    "𠀀𠀁 你好", "a\u00a0b\u200bc\u2028d\ufeffe\ufffdf", "\u0001\u0007x\u007f\u0085y", "👩‍👩‍👧 😀🏽", "x" * 150, "DON'T we've I'LL",
    "[CLS] hi [SEP][PAD] </s> <unk>", "a [MASK] b", "[MASK]tight[MASK]", "（全角）ＡＢＣ～", "١٢٣ 123 1234567", "a_b-c.d", "▁under ▁▁", "ｶﾞ",
    "line\r\nbreak\r", "ªº ℵ Ⅷ", "end   ", "\u3000ideographic\u3000space", "-" * 70, "$& $1 $$", "newword newwords xnewword newword.",
]  # fmt: skip

BLOCKS = [
    (0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x530), (0x5D0, 0x700), (0x900, 0x980), (0xE00, 0xE5C), (0x1E00, 0x2100),
    (0x2100, 0x2200), (0x3000, 0x3100), (0x4E00, 0x4E80), (0xAC00, 0xAC80), (0xFB00, 0xFB07), (0xFE30, 0xFFEF), (0x1F600, 0x1F650),
    (0x20000, 0x20080), (0x2B820, 0x2B930), (1, 0x20),
]  # fmt: skip
POOL = [chr(point) for block in BLOCKS for point in range(*block)]


def texts() -> list[str]:
    rng = random.Random(20261121)
    words = [word for sentence in SENTENCES for word in sentence.split()]
    mixed = []
    for turn in range(160):
        count = rng.randint(1, 10)
        if turn % 3 == 0:
            mixed.append("".join(rng.choice(POOL) for _ in range(count)))
            continue
        chosen = [rng.choice(words) for _ in range(count)]
        if turn % 3 == 1:
            chosen = [word.upper() if rng.random() < 0.3 else word for word in chosen]
            chosen.insert(rng.randint(0, count), rng.choice(POOL))
        mixed.append(" ".join(chosen))
    return SENTENCES + ODD + mixed


def bert() -> Tokenizer:
    """BERT, uncased, with a token of its own that is looked for after normalisation."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(TRAINING, trainers.WordPieceTrainer(vocab_size=320, special_tokens=special, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_tokens([AddedToken("NewWord", single_word=True, normalized=True)])
    return tokenizer


def bert_cased() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=None)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(TRAINING, trainers.WordPieceTrainer(vocab_size=320, special_tokens=["[PAD]", "[UNK]"], show_progress=False))
    tokenizer.post_processor = processors.BertProcessing(("[UNK]", 1), ("[PAD]", 0))
    return tokenizer


def roberta() -> Tokenizer:
    """Byte-level BPE (GPT-2) with the marks of RoBERTa, whose mask takes the blanks before it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", AddedToken("[MASK]", lstrip=True, special=True)]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TRAINING, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


def modern_bytes() -> Tokenizer:
    """Byte-level BPE with the expression of later models, and a sequence of post-processors."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    expression = Regex(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(expression, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=["<s>", "<pad>"], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TRAINING, trainer)
    begin = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 0)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), begin])
    return tokenizer


def llama() -> Tokenizer:
    """BPE over whole texts with bytes to fall back on."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=560, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([word for sentence in TRAINING for word in sentence.split()], trainer)
    return tokenizer


def clip() -> Tokenizer:
    """BPE with marks at the end of words, on what an expression finds."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]", end_of_word_suffix="</w>", fuse_unk=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase(), normalizers.Strip()]
    )
    expression = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(expression, behavior="removed", invert=True)
    trainer = trainers.BpeTrainer(vocab_size=360, special_tokens=["[UNK]", "[PAD]"], end_of_word_suffix="</w>", show_progress=False)
    tokenizer.train_from_iterator(TRAINING, trainer)
    return tokenizer


def words() -> Tokenizer:
    """BPE on words, digits and punctuation, each by itself, without accents."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation()]
    )
    tokenizer.train_from_iterator(TRAINING, trainers.BpeTrainer(vocab_size=260, special_tokens=["[UNK]", "[PAD]"], show_progress=False))
    return tokenizer


def unigram() -> Tokenizer:
    """Unigram without a character map, which is given the blank only at the beginning of a text."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="first")])
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(
        TRAINING, trainers.UnigramTrainer(vocab_size=260, special_tokens=special, unk_token="<unk>", show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    return tokenizer


def sentence_piece() -> Tokenizer:
    """A model of SentencePiece with a character map of its own (the usual one is a quarter of a megabyte)."""
    rules = HERE / "rules.tsv"
    lines = {"Ａ": "A", "Ｂ": "B", "Ｃ": "C", "ｶﾞ": "ガ", "ﬁ": "fi", "½": "1/2", "\t": " ", "\n": " ", "\u3000": " ", "e\u0301": "é", "ẞ": "SS", "\u200b": ""}
    rules.write_text("".join(f"{points(source)}\t{points(target)}\n" for source, target in lines.items()), "utf-8")
    buffer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TRAINING), model_writer=buffer, vocab_size=180, model_type="unigram",
        normalization_rule_tsv=str(rules), num_threads=1, minloglevel=2,
    )  # fmt: skip
    rules.unlink()
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(buffer.getvalue())
    tokenizer = Tokenizer(models.Unigram([(piece.piece, piece.score) for piece in model.pieces], unk_id=0))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens([AddedToken("[MASK]", lstrip=True, rstrip=True, special=True)])
    return tokenizer


def points(text: str) -> str:
    return " ".join(f"{ord(character):X}" for character in text)


def main() -> None:
    given = texts()
    cases = []
    for build in (bert, bert_cased, roberta, modern_bytes, llama, clip, words, unigram, sentence_piece):
        tokenizer = build()
        ids = [tokenizer.encode(text).ids for text in given]
        types = tokenizer.encode(SENTENCES[0]).type_ids
        cases.append({"name": build.__name__, "tokenizer": json.loads(tokenizer.to_str()), "types": types, "ids": ids})
        print(f"{build.__name__}: {tokenizer.get_vocab_size()} tokens, {sum(map(len, ids))} ids")
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
    content = f'{{"texts":{json.dumps(given, separators=(",", ":"))},\n"cases":[\n{lines}\n]}}\n'
    (HERE / "text.json").write_text(content, "utf-8")


if __name__ == "__main__":
    main()
