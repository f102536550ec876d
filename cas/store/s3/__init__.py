"""A store in an S3 bucket, by boto3, which is imported nowhere else."""

from cas.store.s3.bucket import S3Bucket
from cas.store.s3.connection import S3Address
from cas.store.s3.delivering import DeliveringS3Store
from cas.store.s3.locked import LockedS3Store
from cas.store.s3.store import S3Store

__all__ = ["DeliveringS3Store", "LockedS3Store", "S3Address", "S3Bucket", "S3Store"]
