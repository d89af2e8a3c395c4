from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from builders import a_model, a_served_model, shown


async def test_smoke(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)
    r = await http.post("/api/v1/prices", json={"model_id": model["id"], "prices": {"input": "2.50", "output": 10}})
    print(r.status_code, r.text, r.headers)
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    r = await http.post("/api/v1/prices", json={"model_id": model["id"], "prices": {"input": "3"}, "valid_from": later})
    print(r.status_code, r.text, r.headers)
    r = await http.post("/api/v1/prices", json={"model_id": model["id"], "prices": {"input": "4"}, "valid_from": later})
    print(r.status_code, r.text)
    r = await http.get("/api/v1/prices")
    print(r.status_code, r.text)
    r = await http.get(f"/api/v1/models/{model['name']}/prices/history?limit=1")
    print(r.status_code, r.text)
    r = await http.get(f"/api/v1/prices/{model['id']}/versions")
    print(r.status_code, r.text)
    r = await http.post(f"/api/v1/prices/{model['id']}/rollback", json={"version": 1})
    print(r.status_code, r.text)
    r = await http.post("/api/v1/prices/adjust", json={"filter": {}, "by": {"percent": 10}, "preview": True})
    print(r.status_code, r.text)
    r = await http.get("/api/v1/snapshot?kinds=price")
    print(r.status_code, r.text)
    assert 0
