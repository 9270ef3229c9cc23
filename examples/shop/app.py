"""A shop whose customers talk to its staff, each order in a chat of its own. Started by `run`."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import issuer
import users
from chat_gateway_client import AsyncServer, is_signed
from fastapi import Cookie, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from users import User

HERE = Path(__file__).parent
gateway = AsyncServer(os.environ["GATEWAY_URL"], os.environ["SERVICE_KEY"])


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Close the connections to the gateway in the end."""
    async with gateway:
        yield


app = FastAPI(title="Shop", lifespan=lifespan)


@dataclass(frozen=True)
class Order:
    """An order of the user with the sub `customer`. Its chat has a key, so that no id of the gateway is stored."""

    number: str
    customer: str

    @property
    def key(self) -> str:
        """The key of its chat."""
        return f"order-{self.number}"

    @property
    def chat(self) -> str:
        """Its chat in the gateway's calls, in place of an id."""
        return f"key:{self.key}"


orders: dict[str, Order] = {}


def _signed_in(session: Annotated[str, Cookie()] = "") -> User:
    user = users.signed_in(session)
    if user is None:
        raise HTTPException(401, "Please sign in.")
    return user


Caller = Annotated[User, Depends(_signed_in)]


def _order(number: str, user: Caller) -> Order:
    order = orders.get(number)
    if order is None or not (user.is_staff or order.customer == user.sub):
        raise HTTPException(404, "There is no such order.")
    return order


OwnOrder = Annotated[Order, Depends(_order)]


class SignIn(BaseModel):
    """The form of the page."""

    name: str
    password: str


@app.post("/sign-in", status_code=204)
async def sign_in(form: SignIn, response: Response) -> None:
    """Sign in. The gateway hears of the user now, so that others can write before the first connect."""
    found = users.sign_in(form.name, form.password)
    if found is None:
        raise HTTPException(401, "The name or the password is wrong.")
    session, user = found
    user.chat = await gateway.put_user(user.sub, first_name=user.name)
    response.set_cookie("session", session, httponly=True, samesite="strict")


@app.get("/me")
def me(user: Caller) -> dict[str, Any]:
    """What the page shows of the user: orders, and what was pushed to the user's phone."""
    names = {one.sub: one.name for one in users.by_sub.values()}
    own = [
        {"number": order.number, "of": names.get(order.customer, "a former customer")}
        for order in orders.values()
        if user.is_staff or order.customer == user.sub
    ]
    return {"name": user.name, "is_staff": user.is_staff, "orders": own, "pushes": user.pushes}


@app.post("/orders", status_code=201)
async def place_order(user: Caller) -> Order:
    """Order. A chat with a key may be created again, and a message with its Idempotency-Key sent again."""
    order = Order(secrets.token_hex(3), user.sub)
    staff = [one.sub for one in users.by_sub.values() if one.is_staff]
    members = [{"sub": sub} for sub in dict.fromkeys([user.sub, *staff])]
    await gateway.create_chat(key=order.key, title=f"Order {order.number}", members=members)
    orders[order.number] = order
    await gateway.send(order.chat, f"Order {order.number} was placed.", idempotency_key=f"placed-{order.number}")
    return order


@app.post("/orders/{number}/pay", status_code=204)
async def pay(order: OwnOrder) -> None:
    """Pay: a system message says so, however often it is called."""
    await gateway.send(order.chat, f"Order {order.number} was paid.", idempotency_key=f"paid-{order.number}")


@app.get("/orders/{number}/chat")
async def connection(order: OwnOrder, user: Caller) -> dict[str, Any]:
    """What the page needs to connect to the gateway itself: where, which chat, and as whom."""
    found = await gateway.request("GET", f"/api/v1/chats/{order.chat}")
    token = issuer.token(user.sub, user.name)
    who = {"id": user.chat["user_id"], "username": user.chat["username"], "first_name": user.name}
    return {"gateway": os.environ["GATEWAY_URL"], "chat_id": found["id"], "token": token, "me": who}


@app.post("/orders/{number}/ban", status_code=204)
async def ban(order: OwnOrder, user: Caller) -> None:
    """Ban the customer of the order from the chat: all sockets of theirs end within seconds."""
    if not user.is_staff:
        raise HTTPException(403, "Only the staff may do that.")
    customer = users.by_sub.get(order.customer)
    if customer is None:
        raise HTTPException(404, "The customer is not here any more.")
    await gateway.request("PUT", f"/api/v1/users/{customer.chat['user_id']}/ban", {"reason": "by the shop's staff"})


@app.delete("/me", status_code=204)
async def erase(user: Caller) -> None:
    """Erase the user, first at the gateway: if that fails, the user is still here and can try again."""
    await gateway.request("DELETE", f"/api/v1/users/{user.chat['user_id']}?messages=erase")
    users.remove(user)


@app.get("/jwks.json")
def keys() -> dict[str, Any]:
    """The keys that verify the tokens of this shop."""
    return issuer.public_keys()


seen: set[str] = set()  # a real shop keeps the ids where it keeps what the events change, in one transaction


@app.post("/chat-events", status_code=204)
async def chat_events(request: Request, x_chat_signature: Annotated[str, Header()] = "") -> None:
    """Webhooks of the gateway: a message is pushed to those members who have no connection."""
    body = await request.body()
    if not is_signed(x_chat_signature, body, os.environ["WEBHOOK_SECRET"]):
        raise HTTPException(401)
    for event in (await request.json())["events"]:
        if event["type"] == "message.created" and event["id"] not in seen:
            await _push(event["data"])
        seen.add(event["id"])


async def _push(message: dict[str, Any]) -> None:
    """Show the message to those who are absent; a real shop sends it to their phones."""
    if not message["absent"]:  # null while the gateway cannot know
        return
    ids = ",".join(map(str, message["absent"][:100]))
    for absent in (await gateway.request("GET", f"/api/v1/users?ids={ids}"))["users"]:
        if user := users.by_sub.get(absent.get("sub")):
            user.pushes.append(message["text"])


app.mount("/chat", StaticFiles(directory=HERE.parents[1] / "clients/js"))  # the gateway's client; copy it into yours
app.mount("/", StaticFiles(directory=HERE / "page", html=True))
