"""Makes the events that services log with their changes."""

from typing import Any

from codepush.domain.events import Action, Actor, Event
from codepush.domain.ids import OrganizationId, new_id
from codepush.domain.models import App, Principal, Release
from codepush.services.clock import Clock


class Teller:
    """Says who did what, when and from where."""

    def __init__(self, clock: Clock):
        """Take the time from ``clock``."""
        self._clock = clock

    def about_app(
        self,
        principal: Principal,
        action: Action,
        app: App,
        *,
        deployment: str = "",
        target: str = "",
        organization_id: OrganizationId | None = None,
        **details: Any,
    ) -> Event:
        """Return an event of an app, for its organization's log unless another is named."""
        return Event(
            id=new_id(),
            action=action,
            at_ms=self._clock(),
            organization_id=organization_id or app.organization_id,
            actor=principal.actor,
            app=app.name,
            app_id=app.id,
            deployment=deployment,
            target=target,
            details=details,
        )

    def about_release(
        self,
        principal: Principal,
        action: Action,
        app: App,
        deployment: str,
        release: Release,
        replaced: Release | None = None,
    ) -> Event:
        """Return an event of a release, with what a change of it replaced."""
        details: dict[str, Any] = {}
        if replaced is not None:
            details["previous"] = _changed(replaced, release)
        return self.about_app(
            principal,
            action,
            app,
            deployment=deployment,
            target=release.label,
            release={
                "label": release.label,
                "appVersion": release.app_version,
                "description": release.description,
                "isMandatory": release.is_mandatory,
                "isDisabled": release.is_disabled,
                "rollout": release.rollout,
                "packageHash": release.package_hash,
                "originalLabel": release.original_label,
                "originalDeployment": release.original_deployment,
            },
            **details,
        )

    def about_organization(
        self,
        by: Principal | Actor,
        action: Action,
        organization_id: OrganizationId,
        *,
        target: str = "",
        **details: Any,
    ) -> Event:
        """Return an event of an organization itself."""
        return Event(
            id=new_id(),
            action=action,
            at_ms=self._clock(),
            organization_id=organization_id,
            actor=by if isinstance(by, Actor) else by.actor,
            target=target,
            details=details,
        )


def _changed(before: Release, after: Release) -> dict[str, Any]:
    """Return the fields that a change of a release changed, as they were."""
    fields = {
        "appVersion": (before.app_version, after.app_version),
        "description": (before.description, after.description),
        "isMandatory": (before.is_mandatory, after.is_mandatory),
        "isDisabled": (before.is_disabled, after.is_disabled),
        "rollout": (before.rollout, after.rollout),
    }
    return {name: old for name, (old, new) in fields.items() if old != new}
