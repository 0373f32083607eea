"""Routes of the gallery."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from api import responses
from api.http import invalid, not_found, read_cursor, write_cursor
from entry.clients import store
from thumbnails.errors import quoted
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
                bytes=image.listed.size,
                created_at=image.listed.modified,
            )
            for image in page
        ],
        next_cursor=write_cursor(mark),
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
