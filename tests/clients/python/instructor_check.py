"""The `instructor` package over the clients of three dialects."""

import instructor
from anthropic import Anthropic
from google import genai
from harness import (
    API, ASK_PLACE, BAD_KEY, KEY, MODELS, ROOT, TIMEOUT, check, raises, run, same, user,
)  # fmt: skip
from openai import OpenAI
from pydantic import BaseModel


class Place(BaseModel):
    """A place and how warm it is."""

    city: str
    degrees: int



def openai(mode, key=KEY):
    return instructor.from_openai(OpenAI(api_key=key, base_url=API, timeout=TIMEOUT, max_retries=0), mode=mode)


def claude(mode, key=KEY):
    return instructor.from_anthropic(Anthropic(api_key=key, base_url=ROOT, timeout=TIMEOUT, max_retries=0), mode=mode)


def gemini(mode, key=KEY):
    return instructor.from_genai(genai.Client(api_key=key, http_options={"base_url": ROOT}), mode=mode)


WAYS = [
    ("openai", openai, instructor.Mode.TOOLS, {}),
    ("openai", openai, instructor.Mode.JSON_SCHEMA, {}),
    ("anthropic", claude, instructor.Mode.TOOLS, {"max_tokens": 1000}),
    ("google", gemini, instructor.Mode.TOOLS, {}),
    ("google", gemini, instructor.Mode.JSON, {}),
]

for model in MODELS:
    for name, make, mode, more in WAYS:

        @check(f"an object comes back, by {mode.name} ({name}, {model})")
        def _(make=make, mode=mode, more=more, model=model):
            client = make(mode)
            ask = {"model": model, "messages": user(ASK_PLACE), "response_model": Place, "max_retries": 1, **more}
            place = client.chat.completions.create(**ask)
            same((place.city, place.degrees), ("Paris", 21))


@check("an object is streamed as it grows")
def _():
    for model in MODELS:
        parts = list(openai(instructor.Mode.TOOLS).chat.completions.create_partial(
            model=model, messages=user(ASK_PLACE), response_model=Place))  # fmt: skip
        same((parts[-1].city, parts[-1].degrees), ("Paris", 21), model)


@check("a bad key is not retried into something else")
def _():
    ask = {"model": "sim/echo", "messages": user(ASK_PLACE), "response_model": Place, "max_retries": 0}
    error = raises(Exception, lambda: openai(instructor.Mode.TOOLS, BAD_KEY).chat.completions.create(**ask))
    assert "401" in str(error) or "key" in str(error).lower(), error


run("instructor")
