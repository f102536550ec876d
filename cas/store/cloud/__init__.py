"""Stores in Google Cloud Storage and in Azure Blob Storage, by obstore, which is imported nowhere else."""

from cas.store.cloud.address import AzureAddress, CloudAddress, GoogleAddress
from cas.store.cloud.bucket import CloudBucket
from cas.store.cloud.delivering import DeliveringCloudStore
from cas.store.cloud.store import CloudStore

__all__ = [
    "AzureAddress",
    "CloudAddress",
    "CloudBucket",
    "CloudStore",
    "DeliveringCloudStore",
    "GoogleAddress",
]
