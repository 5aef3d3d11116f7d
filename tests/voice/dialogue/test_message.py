"""How a message is taken without a model: what is asked, in which order, and how a call ends."""

import pytest

from voice.dialogue import begin, progress, step
from voice.dialogue.types import (
    End,
    Heard,
    HungUp,
    KnownCaller,
    Listen,
    Pressed,
    Silent,
    SpeakIn,
    StartRecording,
)
from voice.profile import Consent, Escalation, Staff

ALL = (
    "Hi, this is Dana Whitfield, I need a quote for a new water heater, it's not urgent. "
    "My number is four one five, five five five, oh one three three."
)


def test_the_first_line_asks_for_name_number_and_reason(call):
    """The greeting itself qualifies the call."""
    words = call(consent=Consent.NONE).text()

    assert "your name" in words
    assert "number" in words
    assert "reason" in words


def test_nothing_is_asked_twice_of_a_caller_who_tells_everything(call):
    """Only the digits are read back, and whether there is anything else."""
    talking = call().hears(ALL)

    assert talking.lines == ["confirm_number"]
    assert "4 1 5, 5 5 5, 0 1 3 3" in talking.text()
    assert talking.hears("yes").lines == ["anything_else"]
    assert talking.hears("no thanks").lines == ["goodbye_callback"]
    assert talking.slots == {
        "name": "Dana Whitfield",
        "number": "+14155550133",
        "reason": "I need a quote for a new water heater, it's not urgent",
        "urgency": "low",
    }
    assert talking.talk.is_number_confirmed


def test_what_is_missing_is_asked_in_order(call):
    """Reason, name, number, urgency, anything else."""
    talking = call()
    asked = [
        talking.hears(text).lines[0]
        for text in ("hello?", "it's about my invoice", "Marcus Lee", "yes", "no", "no")
    ]

    assert asked == [
        "ask_reason",
        "ask_name",
        "offer_caller_id",
        "ask_urgency",
        "anything_else",
        "goodbye_callback",
    ]


@pytest.mark.parametrize(
    "name", ["dana whitfield", "Dana Whitfield.", "It's Dana Whitfield", "uh, Dana Whitfield"]
)
def test_a_name_may_be_all_that_is_said(call, name):
    """Asked for a name, callers say just that."""
    talking = call().plays("I need a quote for a new bathroom", name)

    assert talking.slots["name"] == "Dana Whitfield"


@pytest.mark.parametrize(
    "text", ["why do you ask?", "no", "I would rather not say that to a machine", "415 555 0133"]
)
def test_no_answer_is_no_name(call, text):
    """Nothing is better than a wrong name."""
    talking = call().plays("I need a quote for a new bathroom", text)

    assert "name" not in talking.slots


def test_recording_is_announced_before_the_greeting(call):
    """Who says so by law says so first; then the recording begins."""
    talking = call(consent=Consent.ANNOUNCE)

    assert talking.lines[0] == "consent_announce"
    assert isinstance(talking.acts[1], StartRecording)
    assert talking.lines[1] == "greeting"


def test_a_tenant_that_does_not_record_announces_nothing(call):
    """No recording, no word of it."""
    talking = call(consent=Consent.ANNOUNCE, records=False)

    assert talking.lines == ["greeting"]
    assert StartRecording() not in talking.acts


def test_consent_is_asked_first_and_a_yes_starts_the_recording(call):
    """Nothing is recorded and nothing else is said before the caller agrees."""
    talking = call(consent=Consent.ASK)

    assert talking.lines == ["consent_ask"]
    assert StartRecording() not in talking.acts

    talking.hears("yes, that's fine")

    assert talking.acts[0] == StartRecording()
    assert talking.lines == ["greeting"]
    assert talking.slots["recording_consent"] == "yes"


def test_a_call_without_consent_goes_on_unrecorded(call):
    """A no is accepted and the message is taken all the same."""
    talking = call(consent=Consent.ASK).hears("no")

    assert StartRecording() not in talking.acts
    assert talking.lines == ["consent_declined", "greeting"]
    assert talking.hears(ALL).lines == ["confirm_number"]


def test_what_is_neither_yes_nor_no_is_no_consent(call):
    """After two doubtful answers nothing is recorded."""
    talking = call(consent=Consent.ASK).plays(
        "who is this?", "I don't know about that stuff, maybe"
    )

    assert talking.slots["recording_consent"] == "no"
    assert StartRecording() not in talking.acts


def test_a_returning_caller_is_greeted_by_name(call):
    """Whoever is known is not asked for the name again."""
    known = KnownCaller(name="Dana", language="en", calls=2)
    talking = call(known=known)

    assert talking.lines[-1] == "greeting_known"
    assert "Dana" in talking.text()
    assert talking.hears("my boiler needs its yearly service").lines == ["offer_caller_id"]


def test_a_clinic_greets_nobody_by_name(call):
    """With health data the greeting says nothing of earlier calls."""
    talking = call(known=KnownCaller(name="Dana", calls=2), is_phi=True)

    assert talking.lines[-1] == "greeting"
    assert "Dana" not in talking.text()
    assert "name" not in talking.slots


def test_a_known_caller_is_greeted_in_their_language(call):
    """Who spoke Spanish last time is greeted in Spanish."""
    talking = call(known=KnownCaller(language="es", calls=1), languages=("en-US", "es-US"))

    assert talking.acts[0] == SpeakIn("es-US")
    assert "asistente" in talking.text()


def test_the_tenants_own_greeting_wins(call):
    """A greeting of the tenant's own takes the place of the fixed line."""
    talking = call(greetings={"en": "Ahoy! Name, number and reason, please."})

    assert "Ahoy!" in talking.text()


def test_a_caller_who_changes_language_is_answered_in_it(call):
    """A sentence in another language changes what is spoken."""
    talking = call(languages=("en-US", "es-US"))
    talking.hears("Hola, me llamo Andrés Felipe y necesito un presupuesto para el baño")

    assert talking.acts[0] == SpeakIn("es-US")
    assert talking.lines == ["offer_caller_id"]
    assert talking.slots["name"] == "Andrés Felipe"


def test_a_question_is_repeated_on_request(call):
    """A "Sorry, what?" brings the same question once more, then the call goes on."""
    talking = call().plays("I need a quote for a new bathroom")
    first = talking.says

    assert talking.hears("sorry, what did you say?").says == first
    assert talking.hears("what did you say?").lines == ["offer_caller_id"]


def test_a_caller_who_asks_for_a_person_is_put_through(call):
    """Where the tenant has somebody for that."""
    talking = call(staff=Staff(transfer_to="+14155550111")).hears(
        "Can I talk to a real person please?"
    )

    assert talking.lines == ["transfer"]
    assert talking.transfer.number == "+14155550111"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "staff": Staff(transfer_to="+14155550111"),
            "escalation": Escalation(asked_for_person="message"),
        },
    ],
)
def test_who_asks_for_a_person_hears_honestly_that_there_is_none(call, settings):
    """Then the message is taken."""
    talking = call(**settings).hears("Can I talk to a real person please?")

    assert talking.lines == ["person_unavailable", "ask_reason"]
    assert talking.transfer is None


def test_a_transfer_that_nobody_answers_becomes_a_message(call):
    """The caller hears so, and is asked what is missing; there is no second transfer."""
    from voice.dialogue.types import ToolDone

    talking = call(staff=Staff(transfer_to="+14155550111")).hears(
        "put me through to an operator please"
    )
    talking.hears(ToolDone("transfer", {}, {"status": "no_answer"}))

    assert talking.lines == ["transfer_failed", "ask_reason"]
    assert talking.hears("I want to speak to somebody").transfer is None


def test_silence_is_asked_about_twice_and_then_left(call):
    """Are you there; please speak now; goodbye."""
    talking = call()
    said = [talking.hears(Silent()).lines[0] for _ in range(3)]

    assert said == ["silence_first", "silence_second", "goodbye_silent"]
    assert talking.is_over


def test_who_has_said_something_is_not_told_that_nobody_was_heard(call):
    """A caller who falls silent after the reason hears that it is passed on."""
    talking = call().hears("I need a quote for a new bathroom")
    talking.plays(Silent(), Silent(), Silent())

    assert talking.lines == ["goodbye"]


def test_the_question_is_asked_again_after_a_silence(call):
    """With "Are you still there?" comes what was asked."""
    talking = call().plays("I need a quote for a new bathroom", Silent())

    assert talking.lines == ["silence_first", "ask_name"]


@pytest.mark.parametrize(
    "text",
    [
        "This is an important message regarding your vehicle warranty. Press one for an agent, nine to opt out.",
        "Este es un mensaje automático de su compañía de crédito con una oferta especial solo hoy, marque uno ahora",
    ],
)
def test_recorded_messages_are_let_go(call, text):
    """A machine gets a short goodbye and no question."""
    talking = call().hears(text)

    assert talking.is_over
    assert talking.lines[0] in {"goodbye", "goodbye_callback"}


def test_a_monologue_that_answers_nothing_is_let_go(call):
    """Who talks on and on past two questions is no caller."""
    endless = (
        "our company offers the best prices for all kinds of products and services in the region "
        * 6
    )
    talking = call().plays(endless, endless)

    assert talking.is_over


def test_a_caller_who_tells_a_long_story_is_no_machine(call):
    """However long it is, somebody with a name is asked on."""
    story = (
        "I have been waiting for a plumber for two weeks and nobody came although you had promised it. "
        * 15
    )
    talking = call().hears(f"{story} My name is Dana Whitfield.")

    assert talking.lines == ["offer_caller_id"]


def test_a_caller_who_speaks_of_a_menu_is_no_machine(call):
    """One turn of phrase of a recording proves nothing."""
    assert (
        not call()
        .hears("Your menu told me to press one for billing but then it just hung up on me again")
        .is_over
    )


def test_a_caller_who_says_goodbye_is_let_go(call):
    """With the number that the call came from."""
    talking = call().plays("I wanted to know when you open tomorrow", "thanks, bye")

    assert talking.is_over
    assert talking.slots["number"] == "+14155550132"


def test_the_goodbye_promises_a_noted_number_only_where_there_is_one(call):
    """Without a number the caller hears only that the message is passed on."""
    talking = call(caller_id=None).plays("I need a quote for a new bathroom", "bye", "bye", "bye")

    assert talking.is_over
    assert "goodbye" in talking.all_lines()
    assert "goodbye_callback" not in talking.all_lines()


def test_sms_consent_is_asked_where_the_tenant_wants_it(call):
    """Only a clear yes is one."""
    talking = call(asks_sms_consent=True).plays(ALL, "yes")

    assert talking.lines == ["ask_sms_consent"]
    assert talking.hears("sure").slots["sms_consent"] == "yes"


def test_what_is_added_at_the_end_is_kept(call):
    """Whether there is anything else is asked once."""
    talking = call().plays(ALL, "yes", "yes, and the garage door is stuck too")

    assert talking.is_over
    assert talking.talk.said[-1] == "yes, and the garage door is stuck too"
    assert talking.all_lines().count("anything_else") == 1


def test_a_call_that_breaks_off_leaves_what_was_said(call):
    """From whatever there is an event can be made; nothing more is done."""
    talking = call().plays("Hi, this is Dana Whitfield, I need a quote", HungUp())

    assert talking.acts == ()
    assert talking.slots["name"] == "Dana Whitfield"
    assert talking.talk.stage == "over"
    assert talking.hears("hello?").acts == ()


def test_zero_asks_for_a_person(call):
    """As it does on every telephone."""
    talking = call(staff=Staff(transfer_to="+14155550111")).hears(Pressed("0"))

    assert talking.transfer is not None


def test_progress_counts_what_is_there(call):
    """From nothing to everything."""
    talking = call()

    assert progress(talking.talk).share == 0
    assert progress(talking.talk).missing == ("reason", "name", "number", "urgency")

    talking.hears("Hi, this is Dana Whitfield, I need a quote for a new bathroom")

    assert progress(talking.talk, talking.profile).share == 0.5

    talking.plays("yes", "no")

    assert progress(talking.talk).is_complete


def test_a_model_may_speak_where_words_are_free_and_nowhere_else(call):
    """Questions are free; consent, read-back and goodbye are not."""
    talking = call()

    assert not talking.now.may_think
    assert talking.hears("I need a quote for a new bathroom").now.may_think
    assert talking.now.goal == "Ask for the caller's name."
    talking.plays("Dana Whitfield", "no", "415 555 0133")
    assert not talking.now.may_think
    assert all(say.is_fixed for say in talking.says)


def test_a_model_may_answer_a_last_question_before_goodbye(call):
    """Without one, the question is passed on with the message."""
    talking = call().plays(ALL, "yes", "what are your opening hours on Saturdays?")

    assert talking.now.may_think
    assert talking.is_over
    assert talking.lines == ["goodbye_callback"]


def test_a_model_cannot_give_consent_or_a_wrong_number(call):
    """What it has understood is checked; a number is read back in fixed words."""
    from voice.dialogue.types import Saved

    talking = call(asks_sms_consent=True).hears("I need a quote for a new bathroom")
    for slot, value in (
        ("sms_consent", "yes"),
        ("recording_consent", "yes"),
        ("number", "12"),
        ("x", "y"),
    ):
        assert talking.hears(Saved(slot, value)).slots == {
            "reason": "I need a quote for a new bathroom"
        }

    talking.hears(Saved("number", "415 555 0133"))

    assert talking.lines == ["confirm_number"]
    assert not talking.now.may_think


def test_a_model_goes_on_after_what_it_has_saved(call):
    """With the next goal, and a question for the case that it fails."""
    from voice.dialogue.types import Saved

    talking = call().plays("I need a quote for a new bathroom", Saved("name", "Dana"))

    assert talking.now.may_think
    assert talking.now.goal == "Ask for the number to call back."
    assert talking.lines == ["offer_caller_id"]


def test_each_step_ends_with_listening_or_the_end(call):
    """A line always knows what to do next."""
    talking = call()
    for text in (ALL, "yes", "no thanks"):
        talking.hears(text)

        assert isinstance(talking.acts[-1], Listen | End)


def test_words_that_cannot_be_written_are_read_as_they_can(call):
    """A lone surrogate or an empty text harms nothing."""
    start = begin(call().profile, caller_id="anonymous")

    assert start.talk.caller_id is None
    assert step(start.talk, Heard("\ud800 hello"), call().profile).talk.said == ("? hello",)
    assert step(start.talk, Heard("   "), call().profile).talk.said == ()
