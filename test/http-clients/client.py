"""What test/http-clients/run asks of the Python client; prints a line for each."""
import asyncio
import json
import sys
import time

from activity_client import Activity, ActivityError, AsyncActivity, StreamReset, verify_webhook

told = json.load(sys.stdin)
due = told["due"]
good = True


def same(got, wanted, name):
    global good
    good = good and got == wanted
    print(("ok " if got == wanted else f"not ok {got!r} instead of {wanted!r}: ") + name)


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    return None


activity = Activity(told["url"] + "/", "acme", told["token"])
page = activity.page(eventType=["credit.*", "!credit.add"], limit=10, page=2)
same([len(page["items"]), page["total"]], [10, len(due)], "a page, and how many there are")
same([event["id"] for event in activity.events(eventType="credit.*", limit=7, from_="2020-01-01")], due, "page by page each event once")
made = activity.record({"eventType": "auth.signin"}, idempotency_key="py")
same(activity.record({"eventType": "auth.signin"}, idempotency_key="py")["id"], made["id"], "recorded once")
same(activity.event(made["id"])["actorUserId"], "ann", "and read")
error = raises(ActivityError, lambda: activity.page(limit=0))
same([error.status, error.code, error.parameter], [400, "bad_parameter", "limit"], "what is refused is told")
seen, cursors = [], []
for event in Activity(told["slow"], "acme", told["token"]).stream("earliest", ["credit.*"], cursors.append):
    seen.append(event["id"])
    if len(set(seen)) == len(due):
        break
same(sorted(set(seen)), sorted(due), "the stream misses nothing")
same(next(activity.stream(cursors[-1], ["credit.*"]))["id"], seen[-1], "it goes on from where it was")
reset = raises(StreamReset, lambda: next(activity.stream(cursors[0].split(".")[0] + ".999999")))
same(reset and reset.reason, "future", "a cursor that can't be")
refused = raises(ActivityError, lambda: next(Activity(told["url"], "other", told["token"]).stream()))
same(refused and refused.status, 403, "nor another organization")


async def later():
    client = AsyncActivity(told["url"], "acme", told["token"])
    same((await client.page(eventType="credit.*"))["total"], len(due), "a page, asynchronously")
    same([event["id"] async for event in client.events(eventType="credit.*", limit=9)], due, "page by page, too")
    got = []
    async for event in AsyncActivity(told["slow"], "acme", told["token"]).stream("earliest", ["credit.*"]):
        got.append(event["id"])
        if len(set(got)) == len(due):
            break
    same(sorted(set(got)), sorted(due), "and the stream")


asyncio.run(later())
headers, body, secret = told["headers"], told["body"], told["secret"]
same(verify_webhook(headers, body, secret)["type"], json.loads(body)["type"], "a message that was signed")
for wrong in ((headers, body + " ", secret), (headers | {"webhook-id": "x"}, body, secret), (headers, body, "whsec_AAAA"), ({}, body, secret)):
    same(isinstance(raises(ValueError, lambda: verify_webhook(*wrong)), ValueError), True, "one that was not")
same(isinstance(raises(ValueError, lambda: verify_webhook(headers, body, secret, now=time.time() + 400)), ValueError), True, "or long ago")
sys.exit(0 if good else 1)
