"""Access tokens, found by their SHA-256.

The user's own hash of tokens decides whether a token is good. What leads from a token's hash to its
user is an index, written first and removed last, so a crash can leave no token that works unseen.
"""

import orjson

from codepush.domain.errors import ConflictError, NotFoundError
from codepush.domain.ids import AppId, OrganizationId, TokenHash, TokenId, UserId
from codepush.domain.models import AccessToken
from codepush.domain.permissions import Scope
from codepush.store import keys, written
from codepush.store.connection import StoreClient
from codepush.store.damage import read
from codepush.store.scripts import Scripts

_INDEX_GRACE_S = 86_400
"""How long the index outlives the token, so that an expired one can be told from an unknown."""


class TokenStore:
    """Tokens of users."""

    def __init__(self, client: StoreClient, scripts: Scripts):
        """Use ``client`` for plain commands and ``scripts`` for the rest."""
        self._client = client
        self._scripts = scripts

    def create(self, token: AccessToken, token_hash: TokenHash) -> None:
        """Add a token.

        Raises:
            ConflictError: The user has another token of that name.
            NotFoundError: The user is gone.
        """
        self._point(token, token_hash)
        reply = self._scripts.run(
            "create_token",
            [keys.user(token.user_id), keys.tokens(token.user_id), keys.token_names(token.user_id)],
            [token.id, token.name, _encode(token, token_hash)],
        )
        if reply == 0:
            raise NotFoundError("The user of the token does not exist any more.")
        if reply == -1:
            raise _name_taken(token.name)

    def find(self, token_hash: TokenHash) -> AccessToken | None:
        """Return the token with this hash, expired or not."""
        pointer = self._client.get(keys.token(token_hash))
        if pointer is None:
            return None
        user_id, _, token_id = pointer.partition("|")
        held = self._client.hget(keys.tokens(UserId(user_id)), token_id)
        if held is None or orjson.loads(held)["hash"] != token_hash:
            return None
        key = keys.tokens(UserId(user_id))
        return read(key, decode_token, UserId(user_id), TokenId(token_id), held)

    def is_good(self, token: AccessToken, *, now_ms: int) -> bool:
        """Return whether a token that was found a while ago was not revoked and did not expire."""
        held = self._client.hget(keys.tokens(token.user_id), token.id)
        return held is not None and orjson.loads(held)["expires_at_ms"] > now_ms

    def list_of(self, user_id: UserId) -> list[AccessToken]:
        """Return a user's tokens, expired ones too, oldest first."""
        key = keys.tokens(user_id)
        tokens = [
            read(key, decode_token, user_id, TokenId(token_id), text)
            for token_id, text in self._client.hgetall(key).items()
        ]
        return sorted(tokens, key=lambda token: (token.created_at_ms, token.name))

    def replace(self, old: AccessToken, new: AccessToken) -> None:
        """Change a token's name or expiry; its id and secret stay.

        Raises:
            ConflictError: The user has another token of the new name.
            NotFoundError: The token is gone.
        """
        held = self._client.hget(keys.tokens(old.user_id), old.id)
        if held is None:
            raise NotFoundError(f'The access key "{old.name}" does not exist.')
        token_hash = TokenHash(orjson.loads(held)["hash"])
        self._point(new, token_hash)
        reply = self._scripts.run(
            "replace_token",
            [keys.tokens(old.user_id), keys.token_names(old.user_id)],
            [old.id, old.name, new.name, _encode(new, token_hash)],
        )
        if reply == 0:
            raise NotFoundError(f'The access key "{old.name}" does not exist.')
        if reply == -1:
            raise _name_taken(new.name)

    def delete(self, token: AccessToken) -> bool:
        """Revoke a token; tells whether it was there."""
        held = self._client.hget(keys.tokens(token.user_id), token.id)
        reply = self._scripts.run(
            "delete_token",
            [keys.tokens(token.user_id), keys.token_names(token.user_id)],
            [token.id],
        )
        if held is not None:
            self._client.delete(keys.token(TokenHash(orjson.loads(held)["hash"])))
        return bool(reply)

    def _point(self, token: AccessToken, token_hash: TokenHash) -> None:
        lifetime_s = max(0, token.expires_at_ms - token.created_at_ms) // 1_000
        # Counted from creation or from now, whichever is later: too long does no harm.
        with written.aside():
            self._client.set(
                keys.token(token_hash),
                f"{token.user_id}|{token.id}",
                ex=lifetime_s + _INDEX_GRACE_S,
            )


def _name_taken(name: str) -> ConflictError:
    return ConflictError(
        f'The access key "{name}" already exists.', parameter="friendlyName", reason="Taken"
    )


def _encode(token: AccessToken, token_hash: TokenHash) -> str:
    return orjson.dumps(
        {
            "hash": token_hash,
            "name": token.name,
            "organization_id": token.organization_id,
            "created_by": token.created_by,
            "created_at_ms": token.created_at_ms,
            "expires_at_ms": token.expires_at_ms,
            "is_session": token.is_session,
            "scopes": sorted(token.scopes),
            "app_id": token.app_id,
        }
    ).decode()


def decode_token(user_id: UserId, token_id: TokenId, text: str) -> AccessToken:
    """Return the token in a field of the hash of tokens."""
    record = orjson.loads(text)
    return AccessToken(
        id=token_id,
        name=record["name"],
        user_id=user_id,
        organization_id=OrganizationId(record["organization_id"]),
        created_by=record["created_by"],
        created_at_ms=record["created_at_ms"],
        expires_at_ms=record["expires_at_ms"],
        is_session=record["is_session"],
        scopes=frozenset(Scope(scope) for scope in record["scopes"]),
        app_id=AppId(record["app_id"]) if record["app_id"] else None,
    )
