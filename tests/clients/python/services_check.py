"""What models do besides talking, through the libraries people use for it: `openai`, `openrouter` and `cohere`."""

import cohere
import openai
from openrouter import OpenRouter

from harness import API, BAD_KEY, KEY, ROOT, TIMEOUT, check, near, raises, run, same

one = openai.OpenAI(base_url=API, api_key=KEY, max_retries=0, timeout=TIMEOUT)
two = OpenRouter(api_key=KEY, server_url=API, retry_config=None, timeout_ms=TIMEOUT * 1000)
three = cohere.ClientV2(api_key=KEY, base_url=ROOT, timeout=TIMEOUT)

TEXTS = ["the cat sat on the mat", "a cat sat on a mat", "quarterly revenue forecast"]
DOCUMENTS = ["a stone", "the red fox", "a fox"]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def check_vectors(vectors, size=64):
    same([len(v) for v in vectors], [size] * len(TEXTS), "dimensions")
    assert dot(vectors[0], vectors[1]) > dot(vectors[0], vectors[2]) + 0.2, "similar texts are near"


@check("openai: vectors as its default, packed, and as floats, are the same, with usage and cost")
def _():
    packed = one.embeddings.create(model="sim/vectors", input=TEXTS)
    plain = one.embeddings.create(model="sim/vectors", input=TEXTS, encoding_format="float")
    check_vectors([d.embedding for d in packed.data])
    for a, b in zip(packed.data, plain.data):
        same(a.index, b.index, "index")
        assert all(abs(x - y) < 1e-6 for x, y in zip(a.embedding, b.embedding)), "packed and plain differ"
    same((packed.model, packed.object, packed.usage.prompt_tokens), ("sim/vectors", "list", 15))
    near(packed.usage.cost, 15 * 0.2 / 1e6, "cost")


@check("openai: dimensions are kept, token ids go through")
def _():
    got = one.embeddings.create(model="sim/vectors", input=[[1, 2, 3], [4]], dimensions=8)
    same([len(d.embedding) for d in got.data], [8, 8], "dimensions")


@check("openai: moderation says what was found")
def _():
    got = one.moderations.create(model="sim/judges", input=["I hate it", "hello"])
    same([r.flagged for r in got.results], [True, False], "flagged")
    same(got.results[0].categories.hate, True, "hate")


@check("openai: a model that talks is no model of vectors, and the other way round")
def _():
    raises(openai.NotFoundError, lambda: one.moderations.create(model="sim/vectors", input="x"))
    ask = lambda: one.chat.completions.create(model="sim/vectors", messages=[{"role": "user", "content": "hi"}])
    raises(openai.NotFoundError, ask)


@check("openai: the list of models is for talking")
def _():
    ids = [m.id for m in one.models.list().data]
    assert "sim/echo" in ids and "sim/vectors" not in ids, ids


@check("openrouter: vectors fit the contract")
def _():
    got = two.embeddings.generate(model="sim/vectors", input=TEXTS)
    check_vectors([d.embedding for d in got.data])
    near(got.usage.cost, 15 * 0.2 / 1e6, "cost")
    ids = [m.id for m in two.embeddings.list_models().result.data]
    same(ids, ["sim/vectors"], "models")


@check("openrouter: a ranking fits the contract, and so does its record")
def _():
    got = two.rerank.rerank(model="sim/ranks", query="red fox", documents=DOCUMENTS, top_n=2)
    same([r.index for r in got.results], [1, 2], "order")
    same(got.results[0].document.text, "the red fox", "document")
    near(got.usage.cost, 0.002, "cost")
    data = two.generations.get_generation(id=got.id).data
    same(data.api_type, "rerank", "api_type")
    near(data.total_cost, 0.002, "total_cost")


@check("cohere: vectors, by kind")
def _():
    ask = dict(model="sim/vectors", texts=TEXTS, input_type="search_document", embedding_types=["float"])
    got = three.embed(**ask)
    check_vectors(got.embeddings.float_)
    same(got.meta.billed_units.input_tokens, 15, "input_tokens")


@check("cohere: a ranking")
def _():
    got = three.rerank(model="sim/ranks", query="red fox", documents=DOCUMENTS, top_n=2)
    same([(r.index, r.relevance_score) for r in got.results], [(1, 0.99), (2, 0.5)], "ranking")
    same(got.meta.billed_units.search_units, 1, "search_units")


@check("cohere: a bad key and a model that cannot are errors of their kind")
def _():
    wrong = cohere.ClientV2(api_key=BAD_KEY, base_url=ROOT, timeout=TIMEOUT)
    ask = dict(query="red fox", documents=DOCUMENTS)
    raises(cohere.UnauthorizedError, lambda: wrong.rerank(model="sim/ranks", **ask))
    raises(cohere.NotFoundError, lambda: three.rerank(model="sim/vectors", **ask))


run("services-py")
