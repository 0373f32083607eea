"""Routes of images: the gallery, and what one would look like."""

import base64
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from api import responses
from api.bodies import Previewed
from api.http import invalid, not_found, read_body, read_cursor, write_cursor
from api.run_routes import found_run
from entry.clients import store
from thumbnails.brands.kits import brands_in
from thumbnails.catalog import MODELS
from thumbnails.errors import quoted
from thumbnails.images.redraw import original_of
from thumbnails.requests.checks import parse_request
from thumbnails.runs.gallery import images_of_run, is_image_key, newest_images
from thumbnails.runs.naming import is_run_id

router = APIGatewayRouter()  # type: ignore[no-untyped-call]


@router.get("/images", summary="Finished images, the newest run's first", tags=["images"])
def get_images(
    limit: Annotated[int, Query(ge=1, le=100)] = 24,
    cursor: Annotated[str | None, Query(max_length=600)] = None,
    run_id: Annotated[str | None, Query(description="Only this run's.")] = None,
) -> responses.Images:
    """A page of finished images, of all runs or of one; it may hold fewer than ``limit`` and not be the last one."""
    if run_id and not is_run_id(run_id):
        raise invalid("run_id", "run_id must be the id of a run")
    after = read_cursor(cursor)
    page, mark = images_of_run(store(), run_id, limit, after) if run_id else newest_images(store(), limit, after)
    return responses.Images(
        images=[
            responses.Image(
                key=image.listed.key,
                image_url=store().url(image.listed.key),
                run_id=image.run_id,
                row=image.row,
                model=image.model,
                format=image.format,
                bytes=image.listed.size,
                created_at=image.listed.modified,
            )
            for image in page
        ],
        next_cursor=write_cursor(mark),
    )


@router.post("/preview", summary="What a title would look like; nothing is paid", tags=["images"])
def post_preview() -> responses.Preview:
    """Set a title over a sample of the style, or over a picture of a run, as a run would."""
    # Pillow, which no other route needs.
    from thumbnails.images.preview import preview
    from thumbnails.images.words import words_of

    asked = read_body(router.current_event, Previewed)
    # What is left out is the kit's, where there is one.
    named = asked.model_dump(exclude={"format", "run_id", "row", "column"}, exclude_unset=True)
    given = {**named, "formats": [asked.format], "models": [next(iter(MODELS))]}
    brands = brands_in(store())
    wanted = parse_request("generateThumbnails", given, 1, brands=brands)
    original = None
    if asked.run_id:
        run = found_run(asked.run_id)
        if not any((cell.row, cell.column) == (asked.row, asked.column) for cell in run.cells) or not run.request:
            raise not_found(f"run {run.run_id} has no row {asked.row} with a column {asked.column}")
        original = original_of(store(), run.run_id, run.request, (asked.row, asked.column))
        if original is None:
            raise not_found("this cell has no picture to draw on yet")
    words = words_of(wanted.titles[0], wanted, brands(wanted.brand) if wanted.brand else None)
    finished = preview(words, wanted.style, original, wanted.formats[0], wanted.output)
    return responses.Preview(
        image=base64.b64encode(finished.file).decode(),
        media_type=f"image/{wanted.output}",
        warnings=list(finished.warnings),
    )


@router.delete(
    "/images/runs/<run_id>/<title>/<file>",
    status_code=204,
    summary="Delete one finished image",
    description="The path after /images/ is the image's key, as the gallery gives it.",
    tags=["images"],
)
def delete_image(run_id: str, title: str, file: str) -> Response[None]:
    """Delete one finished image; its original stays."""
    key = f"runs/{run_id}/{title}/{file}"
    if not is_image_key(key) or store().metadata(key) is None:
        raise not_found(f"there is no image {quoted(key, 200)}")
    store().delete(key)
    return Response(204)
