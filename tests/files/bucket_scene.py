"""A bucket, versions of it, and the way back."""

from pathlib import Path

from cas.bucket_target import TargetBucket
from cas.bucket_tree import BucketTree
from cas.catalog.model import Version
from cas.file_plan import FileRestorePreview, FileRestoreRequest, plan_files
from cas.file_restore import FileRestoreReceipt, restore_files
from cas.progress import Silent
from cas.records.file_tree import FileTarget
from cas.snapshot import SnapshotRequest
from cas.store.bucket import Bucket
from tests.engine.scenes import World
from tests.files.scene import NAME, Scene
from tests.files.watched_bucket import WatchedBucket


class BucketScene(Scene):
    """`bucket` is what versions are taken of, and `place` another one, a directory."""

    def __init__(self, world: World, place: Path, bucket: Bucket) -> None:
        super().__init__(world, place)
        self.bucket = WatchedBucket(bucket)

    def take_bucket(self, *, scan: bool = False, allow_incomplete: bool = False) -> Version:
        tree = BucketTree(NAME, self.bucket)
        request = SnapshotRequest(files=(tree,), scan=scan, allow_incomplete=allow_incomplete)
        return self.world.take(self.platform, request=request)

    def plan_bucket(self, version: int, *, delete: bool = False) -> FileRestorePreview:
        target = TargetBucket(NAME, self.bucket)
        plan = plan_files(self.stored(version), target, FileRestoreRequest(delete), Silent())
        assert plan.preview is not None
        return plan.preview

    def restore_bucket(
        self, version: int, *, delete: bool = False, bucket: Bucket | None = None
    ) -> FileRestoreReceipt:
        stored = self.stored(version)
        target: FileTarget = TargetBucket(NAME, bucket or self.bucket)
        plan = plan_files(stored, target, FileRestoreRequest(delete), Silent())
        return restore_files(stored, target, plan, Silent())
