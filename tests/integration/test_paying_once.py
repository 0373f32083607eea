"""A picture that is there is not paid for again: resumed runs, reused originals, repeated cells."""

from tests.integration.application import DALLE, GPT, Application, without_query

TITLES = ["First title", "Second title", "Third title"]
REQUEST = {"prompts": TITLES, "models": [GPT, DALLE]}


def test_resuming_a_run_pays_for_its_failed_cells_alone(app: Application) -> None:
    fault = app.image_api.add_fault("refusal", prompt_contains=TITLES[1], model=GPT)
    first = app.succeed("generateBatch", REQUEST, "partly-refused")
    assert first["images"] == {"total": 6, "succeeded": 5, "failed": 1, "paid_calls": 5}

    app.image_api.remove_fault(fault)
    app.image_api.clear_calls()
    before = app.keys("runs/partly-refused/")
    again = app.run("generateBatch", {"resume": "partly-refused"})
    assert again.status == "SUCCEEDED"
    assert again.name != "partly-refused"
    assert [(call["model"], call["requests"]) for call in app.image_api.calls()["by_prompt"]] == [(GPT, 1)]
    assert again.output["run_id"] == "partly-refused"
    assert again.output["failures"] == []
    assert again.output["images"] == {"total": 6, "succeeded": 6, "failed": 0, "paid_calls": 1}
    assert [without_query(url) for row in again.output["results"] for url in row if url] == [
        f"{app.stack.endpoint}/fan-out-thumbnails-000000000000-us-east-1/runs/partly-refused/"
        f"{row}-{title.lower().replace(' ', '-')}/{model}.jpg"
        for row, title in enumerate(TITLES)
        for model in REQUEST["models"]
    ]
    assert app.keys("runs/partly-refused/") == sorted([*before, f"runs/partly-refused/1-second-title/{GPT}.jpg"])
    assert app.manifest("partly-refused") == again.output
    assert app.keys(f"runs/{again.name}/") == []


def test_a_run_that_failed_as_a_whole_can_be_resumed(app: Application) -> None:
    app.image_api.add_fault("key_rejected")
    assert app.run("generateThumbnails", ["A title", [GPT]], "wholly-refused").error == "AllImagesFailed"
    app.image_api.reset()
    result = app.succeed("generateThumbnails", {"resume": "wholly-refused"})
    assert (result["run_id"], len(result["results"]), result["images"]["paid_calls"]) == ("wholly-refused", 1, 1)


def test_resuming_a_finished_run_pays_nothing(app: Application) -> None:
    first = app.succeed("generateBatch", REQUEST, "finished")
    app.image_api.clear_calls()
    again = app.succeed("generateBatch", {"resume": "finished"})
    assert app.image_api.calls()["requests"] == 0
    assert again["images"]["paid_calls"] == 0
    assert [[without_query(url) for url in row] for row in again["results"]] == [
        [without_query(url) for url in row] for row in first["results"]
    ]


def test_a_run_cannot_be_resumed_with_another_request(app: Application) -> None:
    app.succeed("generateBatch", [["A title"], [GPT]], "fixed")
    app.image_api.clear_calls()
    done = app.run("generateBatch", {"resume": "fixed", "prompts": ["Another title"], "models": [GPT]})
    assert (done.status, done.error) == ("FAILED", "InvalidBatch")
    assert done.cause == "run 'fixed' was started with another request; resume it without a request of your own"
    assert app.image_api.calls()["requests"] == 0


def test_another_template_and_font_are_drawn_on_reused_originals_for_nothing(app: Application) -> None:
    first = app.succeed("generateBatch", REQUEST)
    app.image_api.clear_calls()
    request = {**REQUEST, "template": "left-panel", "font": "lora", "reuse": True}
    again = app.succeed("generateBatch", request)
    assert app.image_api.calls()["requests"] == 0
    assert again["images"] == {"total": 6, "succeeded": 6, "failed": 0, "paid_calls": 0}
    assert again["run_id"] != first["run_id"]
    key = "0-first-title/gpt-image-1.jpg"
    assert app.read(f"runs/{first['run_id']}/{key}") != app.read(f"runs/{again['run_id']}/{key}")


def test_reuse_pays_for_a_picture_that_was_never_made(app: Application) -> None:
    app.succeed("generateBatch", [["A title of its own"], [GPT]])
    app.image_api.clear_calls()
    request = {"prompts": ["A title of its own", "A title never seen"], "models": [GPT], "reuse": True}
    assert app.succeed("generateBatch", request)["images"]["paid_calls"] == 1
    assert app.requests_by_title() == {"A title never seen": (1, 1)}


def test_a_new_run_pays_again(app: Application) -> None:
    app.succeed("generateBatch", REQUEST)
    app.image_api.clear_calls()
    assert app.succeed("generateBatch", REQUEST)["images"]["paid_calls"] == 6
    assert app.image_api.calls()["paid"] == 6


def test_a_cell_that_is_made_again_is_found(app: Application) -> None:
    event = {"title": "A title", "model": GPT, "run_id": "one-cell", "row": 3}
    first = app.invoke("generateThumbnail", event).payload
    second = app.invoke("generateThumbnail", event).payload
    assert app.image_api.calls()["requests"] == 1
    assert first["key"] == second["key"] == f"runs/one-cell/3-a-title/{GPT}.jpg"


def test_a_finished_image_that_is_lost_is_drawn_again_from_its_original(app: Application) -> None:
    result = app.succeed("generateThumbnails", ["A title", [GPT]], "lost")
    key = result["results"][0]["key"]
    body = app.read(key)
    app.s3.delete_object(Bucket="fan-out-thumbnails-000000000000-us-east-1", Key=key)
    app.image_api.clear_calls()
    assert app.succeed("generateThumbnails", {"resume": "lost"})["images"]["paid_calls"] == 0
    assert app.image_api.calls()["requests"] == 0
    assert app.read(key) == body


def test_resuming_a_run_pays_again_for_a_picture_that_could_not_be_opened(app: Application) -> None:
    app.image_api.add_fault("truncated_picture", model=GPT)
    first = app.succeed("generateBatch", [["A title"], [GPT, DALLE]], "spoilt")
    assert [failure["error"] for failure in first["failures"]] == ["UnusablePicture"]
    assert first["images"]["paid_calls"] == 2
    app.image_api.reset()
    again = app.succeed("generateBatch", {"resume": "spoilt"})
    assert (again["failures"], again["images"]["paid_calls"]) == ([], 1)
    assert {model: calls["paid"] for model, calls in app.image_api.calls()["by_model"].items()} == {GPT: 1}
