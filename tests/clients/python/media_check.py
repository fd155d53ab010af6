"""The `openai` package again: pictures, speech and what is heard of it."""

import base64
import io

import openai

from harness import API, BAD_KEY, KEY, TIMEOUT, check, has, http, near, png, raises, run, same

STUDIO = "sim/studio"
TEXT = "The quick brown fox jumps over the lazy dog."
client = openai.OpenAI(base_url=API, api_key=KEY, max_retries=0, timeout=TIMEOUT)


def is_png(text):
    assert base64.b64decode(text).startswith(b"\x89PNG\r\n\x1a\n"), text[:40]


def spoken(**more):
    return client.audio.speech.create(model=STUDIO, voice="alloy", input=TEXT, **more).read()


def sound():
    file = io.BytesIO(spoken(response_format="wav"))
    file.name = "talk.wav"
    return file


@check("a picture is made, with what it cost")
def _():
    made = client.images.generate(model=STUDIO, prompt="a red panda", n=2, size="64x64")
    same(len(made.data), 2)
    is_png(made.data[1].b64_json)
    same((made.size, made.output_format), ("64x64", "png"))
    same(made.usage.total_tokens, made.usage.input_tokens + made.usage.output_tokens)
    near(made.usage.cost, 0.08, "cost")


@check("a picture that is an address stays one")
def _():
    made = client.images.generate(model=STUDIO, prompt="a fox", response_format="url")
    has(made.data[0].url, "https://")


@check("a picture comes in sketches")
def _():
    events = list(client.images.generate(model=STUDIO, prompt="a fox", size="64x64", stream=True, partial_images=2))
    same([e.type for e in events], ["image_generation.partial_image"] * 2 + ["image_generation.completed"])
    same([e.partial_image_index for e in events[:2]], [0, 1])
    is_png(events[-1].b64_json)
    near(events[-1].usage.cost, 0.04, "cost")


@check("a picture is changed")
def _():
    data = base64.b64decode(png(8, 8).split(",")[1])
    edit = lambda name: client.images.edit(model=STUDIO, prompt="bluer", size="64x64", image=(name, data, "image/png"))
    one, two = edit("a.png"), edit("b.png")
    is_png(one.data[0].b64_json)
    same(one.data[0].b64_json, two.data[0].b64_json, "the same request")
    several = client.images.edit(model=STUDIO, prompt="bluer", image=[("a.png", data), ("b.png", data)])
    is_png(several.data[0].b64_json)


@check("a bad request for a picture names what is wrong")
def _():
    error = raises(openai.BadRequestError, lambda: client.images.generate(model=STUDIO, prompt=""))
    has(str(error), "prompt")
    raises(openai.AuthenticationError, lambda: client.with_options(api_key=BAD_KEY).images.generate(model=STUDIO, prompt="a"))


@check("speech is bytes of the kind that was asked for")
def _():
    assert spoken().startswith(b"ID3")
    assert spoken(response_format="wav").startswith(b"RIFF")
    assert len(spoken(response_format="pcm")) == len(TEXT) * 960
    same(spoken(response_format="wav", speed=1.25, instructions="slowly"), spoken(response_format="wav"))


@check("speech is streamed")
def _():
    whole = spoken(response_format="wav")
    with client.audio.speech.with_streaming_response.create(
        model=STUDIO, voice="alloy", input=TEXT, response_format="wav"
    ) as response:
        same(response.headers["content-type"], "audio/wav")
        generation = response.headers["x-generation-id"]
        pieces = list(response.iter_bytes(2048))
    same(b"".join(pieces), whole, "sound")
    data = http("GET", f"{API}/generation?id={generation}").json()["data"]
    same((data["api_type"], data["model"]), ("tts", STUDIO))
    near(data["total_cost"], len(TEXT) * 15 / 1e6, "cost")


@check("what was said is heard again")
def _():
    heard = client.audio.transcriptions.create(model=STUDIO, file=sound())
    same(heard.text, TEXT)
    near(heard.usage.cost, 0.0001, "cost")


@check("what is heard comes in every format")
def _():
    hear = lambda **more: client.audio.transcriptions.create(model=STUDIO, file=sound(), **more)
    verbose = hear(response_format="verbose_json", timestamp_granularities=["segment"])
    same((verbose.segments[0].text, verbose.task), (TEXT, "transcribe"))
    same(hear(response_format="text").strip(), TEXT)
    has(hear(response_format="srt"), "00:00:00,000 --> ")
    has(hear(response_format="vtt"), "WEBVTT")


@check("what is heard is streamed")
def _():
    events = list(client.audio.transcriptions.create(model=STUDIO, file=sound(), stream=True))
    same("".join(e.delta for e in events if e.type == "transcript.text.delta"), TEXT)
    same(events[-1].text, TEXT)


@check("what is heard is put into English")
def _():
    same(client.audio.translations.create(model=STUDIO, file=sound()).text, "in English: " + TEXT)


@check("noise is refused by the provider in words that reach the caller")
def _():
    noise = ("noise.wav", b"noise")
    error = raises(
        openai.BadRequestError, lambda: client.audio.transcriptions.create(model=STUDIO, file=noise)
    )
    has(str(error), "could not be decoded")


run("media-py")
