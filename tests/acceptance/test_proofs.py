"""Proofs that wait for approval, with the real service and command; its workers are puppets."""

import json

from PIL import Image

from daemon.job import State
from tests.support.atelier import Studio, photograph


def test_proof_waits_over_kills_and_is_painted_at_full_size_once_it_is_approved(
    studio: Studio,
) -> None:
    studio.configure(checkpoint_every=0)
    studio.add_preset("large", size=700, steps=12)
    studio.drop("proof/large/2026/photo.jpg")
    with studio.service() as service:
        service.wait_for_step()
        service.kill()
    answer = studio.run("run", "--once")
    assert answer.returncode == 0, answer.stderr
    assert "goes on after step" in answer.stderr
    assert "proofs that wait for approval: 1" in answer.stderr
    (job,) = studio.jobs(State.AWAITING)
    proof = studio.outbox / "proof/large/2026/photo.jpg"
    with Image.open(proof) as shown:
        assert max(shown.size) == 512
    assert list(studio.files(studio.inbox)) == [
        f".claimed/{job.picture_id}/proof/large/2026/photo.jpg"
    ]
    (row,) = studio.status()["proofs"]
    assert (row["id"], row["output"]) == (job.id, "proof/large/2026/photo.jpg")
    assert row["full"]["width_px"] == 700 and row["full"]["seconds"] > 0
    assert "proof that waits for approval" in studio.run("status").stdout

    refused = studio.run("approve", job.id[:8], "--set", "betta=40")
    assert refused.returncode == 1 and "beta" in refused.stderr
    approved = studio.run("approve", job.id[:8], "--set", "beta=40")
    assert approved.stdout == f"{job.id[:8]} 2026/photo.jpg: approved\n", approved.stderr
    answer = studio.run("run", "--once")
    assert answer.returncode == 0, answer.stderr
    with Image.open(studio.outbox / "large/2026/photo.jpg") as painted:
        assert painted.size == (700, round(700 * photograph().height / photograph().width))
    record = json.loads((studio.outbox / "large/2026/.jobs/photo.jpg.json").read_bytes())
    assert (record["id"], record["recipe"]["beta"]) == (job.id, 40.0)
    assert record["proof"]["recipe"] == {"beta": 30.0} and record["proof"]["approved"]
    assert studio.files(studio.outbox / "large/2026/.jobs") == {
        "photo.jpg.json",
        "photo.jpg.log",
        "photo.jpg.proof.jpg",
    }
    assert studio.files(studio.outbox / "proof") == set() == studio.files(studio.inbox)
    assert (studio.outbox / "originals/large/2026/photo.jpg").exists()
