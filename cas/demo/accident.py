"""An accident on the demo platform: somebody deletes a category, and all that is in it."""

from dataclasses import dataclass

from cas.errors import NotFound
from cas.postgres.demo_platform import demo_database


@dataclass(frozen=True, slots=True)
class AccidentReceipt:
    """What is gone. `id` is that of the category's tree node."""

    id: int
    name: str
    path: str
    categories: int
    products: int


def delete_category(url: str) -> AccidentReceipt:
    """Delete the category of the second level that holds the most products, with its sub-categories, their
    products, and what hangs on these. NotFound where no category has any products."""
    with demo_database(url) as database:
        found = database.largest_category()
        if found is None:
            raise NotFound("no category has any products", where=url)
        node, name, path = found
        products = database.delete_products_below(path)
        categories = database.delete_categories_below(path)
    return AccidentReceipt(node, name, path, categories, products)
