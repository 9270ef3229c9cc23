"""The page as a screen reader has it: roles and names, what is announced, and where the focus goes."""

from typing import Any

from playwright.async_api import Browser, Page, expect

from tests.e2e.windows import two_in_a_chat

WITHOUT_ROLE = {"generic", "none", "paragraph", "time", "LabelText", "StaticText", "InlineTextBox", "RootWebArea"}
CHAT = """
complementary: Chats
  sectionheader
    heading: Chats
    button: New chat
  searchbox: Search my chats
  navigation: My chats
    list
      listitem
        link: BOB online TIME You: Hello
  sectionfooter
    button: Notify me of new messages
    button: Switch user
main: Conversation
  sectionheader
    heading: BOB
    button: About this chat
  status
  application: Messages
    list
      listitem: You: Hello, TIME, Read by BOB
        image: Read by BOB
  form
    textbox: Message to BOB
    button: Send"""
DIALOG = """
dialog: BOB
  heading: BOB
  list: Members
    listitem
    listitem
  form
    Date: Go to a day
      spinbutton: Month Month
      spinbutton: Day Day
      spinbutton: Year Year
      button: Show date picker Show date picker
    button: Go
  checkbox: Keep at the top of my list
  checkbox: Mute
  button: Close"""
ACTIONS = """
application: Messages
  list
    listitem: You: Hello, TIME, Read by BOB
      image: Read by BOB
    listitem: BOB: Hi, TIME
      button: React
      button: Reply
      toolbar: React with
        button: Thumbs up
        button: Heart
        button: Laughing
        button: Party
        button: Surprised
        button: Sad
    listitem: You: This message was deleted., TIME"""
LISTEN = """() => {
    globalThis.announced = [];
    new MutationObserver((records) => {
        for (const { addedNodes } of records) announced.push(...[...addedNodes].map((node) => node.data));
    }).observe(document.getElementById("news"), { childList: true, characterData: true, subtree: true });
}"""


async def tree(page: Page, role: str = "RootWebArea") -> str:
    """What Chromium offers to a screen reader, from the first node of a role on: roles and names."""
    session = await page.context.new_cdp_session(page)
    nodes: list[dict[str, Any]] = (await session.send("Accessibility.getFullAXTree"))["nodes"]
    await session.detach()
    by_id = {node["nodeId"]: node for node in nodes}
    lines: list[str] = []

    def walk(node: dict[str, Any], depth: int) -> None:
        own_role = node.get("role", {}).get("value")
        name = node.get("name", {}).get("value", "")
        has_role = not node.get("ignored") and own_role not in WITHOUT_ROLE
        if has_role:
            lines.append("  " * depth + (f"{own_role}: {name}" if name else own_role))
        for child in node.get("childIds", []):
            if child in by_id:
                walk(by_id[child], depth + has_role)

    walk(next(node for node in nodes if node.get("role", {}).get("value") == role), 0)
    return "\n".join(["", *lines])


async def focused(page: Page) -> str:
    """The id or class of the element that has the focus."""
    return str(await page.evaluate("document.activeElement.id || document.activeElement.className"))


async def test_screen_reader_has_names_news_and_focus(chromium: Browser, system: Any) -> None:
    alice, bob = await two_in_a_chat(chromium, system.url, locale="en-GB")
    page = alice.page
    await alice.say("Hello")
    await expect(page.locator(".ticks[data-tick=read]")).to_have_count(1)
    await expect(page.locator(".chat-last")).to_have_text("You: Hello")

    async def is_shown(expected: str, role: str = "RootWebArea") -> None:
        time = await page.locator(".message time").last.inner_text()
        shown = (await tree(page, role)).replace(time, "TIME").replace(bob.login, "BOB")
        assert shown == expected

    await is_shown(CHAT)
    await page.evaluate(LISTEN)
    await bob.say("Hi")
    await expect(page.locator("#news")).to_have_text(f"{bob.login}: Hi")
    await bob.page.press("#text", "ArrowUp")
    await bob.say("Hi")  # an edit without a change
    await alice.say("Bye")
    await expect(page.locator(".ticks[data-tick=read]")).to_have_count(2)
    assert await page.evaluate("announced") == [f"{bob.login}: Hi"]

    await page.locator("#talk-info").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#info-dialog")).to_be_visible()
    assert await focused(page) == "info-name"
    await is_shown(DIALOG, "dialog")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.name") == "day"
    await page.keyboard.press("Escape")
    assert await focused(page) == "talk-info"
    await page.keyboard.press("Tab")
    assert "message" in (await focused(page)).split()
    for expected in ("react", "reply", "edit", "delete"):
        await page.keyboard.press("Tab")
        assert await focused(page) == f"link act-{expected}"
    for expected in ("text", "round send"):
        await page.keyboard.press("Tab")
        assert await focused(page) == expected

    await page.locator("#log").focus()
    for key in ("ArrowUp", "Delete"):
        await page.keyboard.press(key)
    await expect(page.locator("#delete-dialog")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.locator(".deleted")).to_have_count(1)
    assert "message" in (await focused(page)).split()
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("r")
    await expect(page.locator("#picker")).to_be_visible()
    assert "pick" in await focused(page)
    await is_shown(ACTIONS, "application")
    await page.keyboard.press("Escape")
    assert "message" in (await focused(page)).split()
    await page.keyboard.press("Escape")
    assert await focused(page) == "text"
