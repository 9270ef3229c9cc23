"""What the HTTP sides of both services share: problem documents, request bodies, OpenAPI from the code, docs pages,
service keys. Imports nothing of the other packages; imported by gateway and auth."""
