"""A restore into a bucket in a process of its own that is killed when half of a large object was sent.

Arguments: a store, a version, the URL of a bucket, and the key of the large object."""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cas.bucket_target import TargetBucket
from cas.contents import open_contents
from cas.engine.repository import Repository
from cas.file_contents import stored_files
from cas.file_plan import FileRestoreRequest, plan_files
from cas.file_restore import restore_files
from cas.progress import Silent
from cas.store.bucket_opening import open_bucket
from cas.store.delivering import Repeat
from cas.store.local import LocalStore
from cas.store.s3 import upload as uploading
from tests.files.scene import NAME
from tests.store.conftest import OPTIONS

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef

if __name__ == "__main__":
    place, version, url, large = sys.argv[1:]
    real = uploading._send_parts

    def half_of_it(
        client: "S3Client",
        bucket: str,
        key: str,
        upload: str,
        data: memoryview,
        part_bytes: int,
        step: Repeat,
    ) -> "list[CompletedPartTypeDef]":
        assert key.endswith(large), key
        parts = real(client, bucket, key, upload, data[: len(data) // 2], part_bytes, step)
        os.kill(os.getpid(), signal.SIGKILL)
        return parts

    uploading._send_parts = half_of_it
    stored = stored_files(open_contents(Repository(LocalStore(Path(place)), None), int(version)), NAME)
    target = TargetBucket(NAME, open_bucket(url, OPTIONS))
    plan = plan_files(stored, target, FileRestoreRequest(delete=True), Silent())
    restore_files(stored, target, plan, Silent())
