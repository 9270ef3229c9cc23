"""No statement that serves a client reads a large table, or more pages of a larger store than an index needs."""

import asyncio

from benchmarks.growth.measuring import SMALL_STORE, Cost, Costs, growing, measure, scanning
from tests.support.migrated import make_store
from tests.support.servers import PostgresServer

ROWS = 30_000
TIMES = 4


def measured(server: PostgresServer, rows: int) -> Costs:
    url = server.create_database()
    try:
        asyncio.run(make_store(url))
        return asyncio.run(measure(url, server.folder / "server.log", rows, SMALL_STORE))
    finally:
        server.drop_database(url)


def test_statements_of_clients_need_no_more_in_larger_store(postgres_server: PostgresServer) -> None:
    small, large = measured(postgres_server, ROWS), measured(postgres_server, TIMES * ROWS)
    assert len(large) > 100, "statements were recorded"
    assert scanning(large) == []
    assert growing(small, large, TIMES) == []


def test_growth_is_told_from_deeper_index() -> None:
    def costs(buffers: int, scanned: int = 0) -> Costs:
        return {("call", "SELECT ?"): Cost(buffers, 0.1, {"users": scanned})}

    assert growing(costs(300), costs(400), 4) == []
    assert growing(costs(300), costs(1200), 4) == ["call: 300 → 1200 buffers: SELECT ?"]
    assert growing(costs(300), costs(600), 4) != []
    assert growing(costs(3), costs(10), 4) == []
    assert scanning(costs(3, 20)) == []
    assert scanning(costs(3, 4000)) == ["call: 4000 rows of users: SELECT ?"]
