"""Commands of an operator about users, chats and the audit log. They work on the database, like `migrate`.

So they need no key and no running gateway. Every change is one that a service could cause over HTTP, with the same
notes for webhooks, and the audit log has it of the actor `operator`. Gateways find it in the database within seconds.
"""
