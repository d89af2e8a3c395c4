"""A large catalog, made by PostgreSQL itself within seconds: what actions would have made, without their events."""

import asyncpg

BIG = ("models", "sources", "charge_prices", "cost_prices", "versions", "audit", "outbox")
_LIFE = "now(), now()"
_COST = '{"input": "0.15", "output": "0.6", "cached_input": "0.075", "cache_write": null, "reasoning": null, "request": null, "image": null, "is_dynamic": false}'  # noqa: E501
_MADE = (
    f"""
    INSERT INTO catalog.suppliers (id, name, display_name, kind, base_url, protocol, flavour, is_active,
        requires_credential, is_local, removal_after, sync_interval_s, created_at, updated_at)
    SELECT uuidv7(), 'supplier-' || n, 'Supplier ' || n, 'aggregator', 'http://127.0.0.1:9/v1', 'openai', 'openai',
        true, false, true, 2, 0, {_LIFE}
    FROM generate_series(1, $1::int) AS n
    """,
    f"""
    INSERT INTO catalog.models (id, name, aliases, display_name, model_type, context_window, max_output_tokens,
        is_active, is_available, since, provenance, created_at, updated_at)
    SELECT uuidv7(), 'vendor-' || n % 50 || '/model-' || n,
        CASE WHEN n % 100 = 0 THEN ARRAY['alias-' || n] ELSE '{{}}' END, 'Vendor ' || n % 50 || ': Model ' || n,
        (ARRAY['language', 'language', 'language', 'embedding', 'image', 'audio'])[1 + n % 6], 1024 * (1 + n % 256),
        8192, true, true, now(), '{{}}', {_LIFE}
    FROM generate_series(1, $1::int) AS n
    """,
    f"""
    INSERT INTO catalog.sources (id, model_id, supplier_id, upstream_name, origin, is_enabled, missed, is_listed,
        is_available, reason, since, priority, weight, cost, first_seen_at, last_seen_at, created_at, updated_at)
    SELECT uuidv7(), models.id, suppliers.id, models.name, 'listing', true, 0, place % 50 > 0, place % 50 > 0,
        CASE WHEN place % 50 = 0 THEN 'delisted' END, now(), 200, 1, '{_COST}', now(), now(), {_LIFE}
    FROM (SELECT *, row_number() OVER () AS place FROM catalog.models) AS models CROSS JOIN catalog.suppliers
    """,
    f"""
    INSERT INTO catalog.charge_prices (id, model_id, valid, is_open, state, input, output, is_dynamic, origin,
        created_at, updated_at)
    SELECT uuidv7(), id, tstzrange(now() - (ago + 1) * interval '1 day', now() - nullif(ago, 0) * interval '1 day'),
        ago = 0, CASE WHEN ago > 0 THEN 'over' ELSE 'in_force' END, 1, 2, false, 'administrator', {_LIFE}
    FROM catalog.models CROSS JOIN generate_series(0, 9) AS ago
    """,
    f"""
    INSERT INTO catalog.cost_prices (id, source_id, valid, is_open, state, input, output, is_dynamic, origin,
        created_at, updated_at)
    SELECT uuidv7(), id, tstzrange(now() - interval '1 day', NULL), true, 'in_force', 0.15, 0.6, false, 'listing',
        {_LIFE}
    FROM catalog.sources
    """,
    """
    INSERT INTO catalog.versions (kind, thing_id, number, name, at, caller_name, caller_role, document, changed)
    SELECT 'source', id, 1, upstream_name, now(), 'catalog', 'system', '{}', '{}' FROM catalog.sources
    """,
    """
    INSERT INTO catalog.audit (id, at, caller_name, caller_role, action, outcome, changes, detail)
    SELECT uuidv7(), now(), 'administrator', 'admin', 'POST /api/v1/models', 'done', 1, '{}' FROM catalog.models
    """,
)
_TOLD = """
    INSERT INTO catalog.outbox (revision, epoch, id, type, subject, schema_version, body, recorded_at)
    SELECT head.version + place, head.epoch, uuidv7(), 'catalog.synced', sources.id, '1-0', '{}', now()
    FROM (SELECT id, row_number() OVER () AS place FROM catalog.sources LIMIT $1::int) AS sources,
        catalog.catalog_head AS head
    """


async def fill(superuser_url: str, *, models: int, suppliers: int, events: int) -> None:
    """Fill an empty catalog: every supplier offers every model; the outbox holds that many events."""
    connection = await asyncpg.connect(superuser_url)
    try:
        async with connection.transaction():
            for statement in _MADE:
                sizes = {"catalog.suppliers (": suppliers, "catalog.models (": models}
                given = [size for table, size in sizes.items() if f"INSERT INTO {table}" in statement]
                await connection.execute(statement, *given)
            await connection.execute(_TOLD, events)
            await connection.execute(
                "UPDATE catalog.catalog_head SET version = (SELECT max(revision) FROM catalog.outbox)"
            )
        # As autovacuum does, sooner or later.
        for table in BIG:
            await connection.execute(f"VACUUM ANALYZE catalog.{table}")
    finally:
        await connection.close()
