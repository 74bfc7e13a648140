"""The official client works unchanged against the running server."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel

from tests.agents.offline_model.process import Server, serve

HELLO = [{"role": "user", "content": "hello"}]
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {
            "type": "object",
            "required": ["left", "right"],
            "properties": {"left": {"type": "number"}, "right": {"type": "number"}},
        },
    },
}
SUM = [{"role": "user", "content": '{"left": 2, "right": 3.5}'}]


class Sum(BaseModel):
    """What the structured answer must look like."""

    total: float
    conclusion: str


def after_call(reply: Any, result: dict[str, Any]) -> list[dict[str, Any]]:
    call = reply.choices[0].message.tool_calls[0]
    message = reply.choices[0].message.model_dump(include={"role", "content", "tool_calls"})
    return [
        *SUM,
        message,
        {"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)},
    ]


def test_a_chat_is_answered_with_its_usage(server: Server):
    reply = server.client().chat.completions.create(model="offline-standard", messages=HELLO)
    assert "offline model" in reply.choices[0].message.content
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


async def _streamed(server: Server) -> tuple[str, Any]:
    async with server.async_client() as client:
        stream = await client.chat.completions.create(
            model="offline-standard",
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    return text, chunks[-1].usage


@pytest.mark.asyncio
async def test_a_stream_gives_the_same_text_and_usage_asynchronously(server: Server):
    whole = server.client().chat.completions.create(model="offline-standard", messages=HELLO)
    text, usage = await _streamed(server)
    assert text == whole.choices[0].message.content
    assert usage == whole.usage


def test_a_tool_is_called_and_its_result_told(server: Server):
    client = server.client()
    reply = client.chat.completions.create(model="offline-light", messages=SUM, tools=[ADD])
    assert reply.choices[0].finish_reason == "tool_calls"
    call = reply.choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"left": 2, "right": 3.5}
    told = client.chat.completions.create(
        model="offline-light", messages=after_call(reply, {"total": 5.5}), tools=[ADD]
    )
    assert "Total: 5.5" in told.choices[0].message.content


def test_streamed_tool_calls_come_in_pieces_that_join(server: Server):
    with server.client().chat.completions.stream(
        model="offline-standard", messages=SUM, tools=[ADD]
    ) as stream:
        final = stream.get_final_completion()
    call = final.choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"left": 2, "right": 3.5}


def test_a_structured_answer_parses_into_its_type(server: Server):
    client = server.client()
    reply = client.chat.completions.create(model="offline-strong", messages=SUM, tools=[ADD])
    messages = after_call(reply, {"total": 5.5, "conclusion": "small sum"})
    parsed = client.chat.completions.parse(
        model="offline-strong", messages=messages, response_format=Sum
    )
    assert parsed.choices[0].message.parsed == Sum(total=5.5, conclusion="small sum")


def test_an_answer_is_cut_at_its_limit_and_at_a_stop_sequence(server: Server):
    create = server.client().chat.completions.create
    cut = create(model="offline-standard", messages=HELLO, max_completion_tokens=5)
    assert cut.choices[0].finish_reason == "length"
    assert cut.usage.completion_tokens == 5
    stopped = create(model="offline-standard", messages=HELLO, stop=["offline"])
    assert stopped.choices[0].message.content == "This is the "
    assert stopped.choices[0].finish_reason == "stop"


def test_a_repeated_long_prefix_is_reported_as_cached(server: Server):
    system = {"role": "system", "content": "You check ledgers with care and say so. " * 200}
    create = server.client().chat.completions.create
    for said, cached in (("one", 0), ("two", 1792)):
        messages = [system, {"role": "user", "content": said}]
        usage = create(model="offline-standard", messages=messages).usage
        assert usage.prompt_tokens_details.cached_tokens == cached


def test_embeddings_come_packed_or_plain_and_in_the_length_asked_for(server: Server):
    client = server.client()
    packed = client.embeddings.create(
        model="offline-embedding", input=["one", "two"], dimensions=64
    )
    assert [len(one.embedding) for one in packed.data] == [64, 64]
    plain = client.embeddings.create(
        model="offline-embedding", input="one", dimensions=64, encoding_format="float"
    )
    assert plain.data[0].embedding == pytest.approx(packed.data[0].embedding, abs=1e-6)
    raw = httpx.post(
        f"{server.url}/embeddings",
        json={"model": "offline-embedding", "input": "one", "encoding_format": "base64"},
    ).json()
    assert len(base64.b64decode(raw["data"][0]["embedding"])) == 4 * 1536


def test_models_are_listed(server: Server):
    names = {model.id for model in server.client().models.list()}
    assert {"offline-light", "offline-standard", "offline-strong", "offline-embedding"} <= names


def jsonl(*lines: dict[str, Any]) -> tuple[str, bytes]:
    return "lines.jsonl", "\n".join(json.dumps(line) for line in lines).encode()


def batch_lines(count: int) -> tuple[str, bytes]:
    return jsonl(
        *(
            {
                "custom_id": f"q{n}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {"model": "offline-standard" if n else "nobody", "messages": HELLO},
            }
            for n in range(count)
        )
    )


def finished(client: openai.OpenAI, name: str) -> Any:
    deadline = time.monotonic() + 20
    while (batch := client.batches.retrieve(name)).status not in {"completed", "failed"}:
        assert time.monotonic() < deadline, batch
        time.sleep(0.02)
    return batch


def test_a_batch_answers_each_line_and_keeps_failures_apart(server: Server):
    client = server.client()
    file = client.files.create(file=batch_lines(5), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    done = finished(client, batch.id)
    assert (done.request_counts.completed, done.request_counts.failed) == (4, 1)
    lines = client.files.content(done.output_file_id).text.splitlines()
    assert [json.loads(line)["custom_id"] for line in lines] == ["q1", "q2", "q3", "q4"]
    failed = json.loads(client.files.content(done.error_file_id).text)
    assert failed["response"]["status_code"] == 404


def test_a_bad_line_fails_the_batch_by_its_number(server: Server):
    client = server.client()
    file = client.files.create(file=("x.jsonl", b'{"custom_id": 5}'), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert "line 1" in finished(client, batch.id).errors.data[0].message


def lessons(count: int) -> tuple[str, bytes]:
    return jsonl(
        *(
            {
                "messages": [
                    {"role": "user", "content": f"Which account takes invoice type {n}?"},
                    {"role": "assistant", "content": f"Account 40{n:02d}."},
                ]
            }
            for n in range(count)
        )
    )


def test_a_tuned_model_gives_the_trained_answer_and_survives_a_restart(state_dir):
    asked = [{"role": "user", "content": "which account takes  invoice type 7?"}]
    with serve(state_dir) as server:
        client = server.client()
        file = client.files.create(file=lessons(12), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(model="offline-light", training_file=file.id)
        assert job.status == "queued"
        job = client.fine_tuning.jobs.retrieve(job.id)
        assert job.status == "succeeded"
        reply = client.chat.completions.create(model=job.fine_tuned_model, messages=asked)
        assert reply.choices[0].message.content == "Account 4007."
    with serve(state_dir) as server:
        client = server.client()
        assert job.fine_tuned_model in {model.id for model in client.models.list()}
        reply = client.chat.completions.create(model=job.fine_tuned_model, messages=asked)
        assert reply.choices[0].message.content == "Account 4007."
        other = client.chat.completions.create(model=job.fine_tuned_model, messages=HELLO)
        assert "offline model" in other.choices[0].message.content


def test_too_few_examples_are_refused(server: Server):
    client = server.client()
    file = client.files.create(file=lessons(3), purpose="fine-tune")
    with pytest.raises(openai.BadRequestError, match="at least 10"):
        client.fine_tuning.jobs.create(model="offline-light", training_file=file.id)


def test_a_batch_that_was_running_when_the_server_stopped_is_finished_by_the_next(state_dir):
    with serve(state_dir, check_exit=False) as server:
        client = server.client()
        file = client.files.create(file=batch_lines(3000), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        server.process.kill()
        server.process.wait()
    with serve(state_dir) as server:
        done = finished(server.client(), batch.id)
        assert done.request_counts.completed == 2999


@pytest.mark.parametrize(
    ("change", "error", "param"),
    [
        ({"model": "nobody"}, openai.NotFoundError, "model"),
        ({"model": "offline-embedding"}, openai.BadRequestError, "model"),
        ({"messages": []}, openai.BadRequestError, "messages"),
        ({"messages": [{"role": "boss", "content": "x"}]}, openai.BadRequestError, "messages[0]"),
        ({"n": 2}, openai.BadRequestError, "n"),
        ({"temperature": 3}, openai.BadRequestError, "temperature"),
        (
            {"tools": [{"type": "function", "function": {"name": "a.b"}}]},
            openai.BadRequestError,
            "tools[0].function.name",
        ),
        (
            {"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]},
            openai.BadRequestError,
            "messages[0]",
        ),
    ],
)
def test_a_bad_request_is_refused_in_openais_shape(server: Server, change, error, param):
    wanted = {"model": "offline-standard", "messages": HELLO, **change}
    with pytest.raises(error) as refused:
        server.client().chat.completions.create(**wanted)
    assert refused.value.body["param"] == param


def test_what_is_no_json_and_what_is_no_address_are_refused(server: Server):
    bad = httpx.post(f"{server.url}/chat/completions", content=b"{")
    assert (bad.status_code, bad.json()["error"]["type"]) == (400, "invalid_request_error")
    assert httpx.get(f"{server.url}/nothing").json()["error"]["code"] == "unknown_url"


def test_it_says_that_it_is_alive(server: Server):
    assert httpx.get(f"{server.root}/healthz").json()["status"] == "ok"


def test_a_taken_port_is_named(server: Server, tmp_path, capfd):
    from agents.offline_model.__main__ import main

    port = server.root.rpartition(":")[2]
    assert main(["--port", port, "--state-dir", str(tmp_path)]) == 1
    assert f"127.0.0.1:{port}" in capfd.readouterr().err
