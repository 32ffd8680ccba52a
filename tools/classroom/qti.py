"""Questions as a package of IMS QTI 2.1: one item a question, a test that holds all.

Formulas are MathML, as the standard has it. An item counts its points itself: one for
the right option; where several are right, they share it, and all wrong ones together
take it away.
"""

import io
import zipfile
from collections.abc import Sequence
from itertools import groupby

from lxml import etree
from lxml.builder import ElementMaker

from .markup import mathml, tree

XML = "{http://www.w3.org/XML/1998/namespace}"
QTI = "http://www.imsglobal.org/xsd/imsqti_v2p1"
PACKAGE = "http://www.imsglobal.org/xsd/imscp_v1p1"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
PLACES = {
    QTI: "http://www.imsglobal.org/xsd/qti/qtiv2p1/imsqti_v2p1.xsd",
    PACKAGE: "http://www.imsglobal.org/xsd/qti/qtiv2p1/qtiv2p1_imscpv1p2_v1p0.xsd",
}
Q = ElementMaker(namespace=QTI, nsmap={None: QTI, "xsi": XSI})
M = ElementMaker(namespace=PACKAGE, nsmap={None: PACKAGE, "xsi": XSI})
REMARK = "remark"


def package(name: str, bank: Sequence) -> bytes:
    """The archive of a bank of `quiz.Item`s: manifest, test, items and pictures."""
    files, resources = {}, []
    for item in bank:
        try:
            root, pictures = item_of(item)
        except ValueError as error:
            raise ValueError(f"question {item.question.name}: {error}") from error
        path = f"items/{item.question.name}.xml"
        resource = M.resource(
            M.file(href=path),
            *(M.file(href=f"items/{picture}") for picture in pictures),
            identifier=item.question.name,
            type="imsqti_item_xmlv2p1",
            href=path,
        )
        resources.append(resource)
        files[path] = _bytes(root)
        files |= {f"items/{picture}": made for picture, made in pictures.items()}
    test = M.resource(
        M.file(href="test.xml"),
        *(M.dependency(identifierref=item.question.name) for item in bank),
        identifier="test",
        type="imsqti_test_xmlv2p1",
        href="test.xml",
    )
    manifest = M.manifest(
        M.metadata(M.schema("QTIv2.1 Package"), M.schemaversion("1.0.0")),
        M.organizations(),
        M.resources(test, *resources),
        identifier=f"mmdl-{name}",
    )
    head = {"imsmanifest.xml": _bytes(manifest), "test.xml": _bytes(_test(name, bank))}
    return _zip(head | files)


def _test(name: str, bank: Sequence) -> etree._Element:
    """A test with a section for each chapter."""
    sections = []
    for chapter, of in groupby(bank, key=lambda item: item.chapter):
        links = [
            Q.assessmentItemRef(
                identifier=item.question.name, href=f"items/{item.question.name}.xml"
            )
            for item in of
        ]
        title = f"{chapter.page.number} {chapter.page.title}"
        sections.append(
            Q.assessmentSection(
                *links, identifier=f"part-{chapter.slug}", title=title, visible="true"
            )
        )
    part = Q.testPart(
        *sections,
        identifier="questions",
        navigationMode="nonlinear",
        submissionMode="individual",
    )
    title = sections[0].get("title") if len(sections) == 1 else "The whole book"
    return Q.assessmentTest(part, identifier=f"mmdl-{name}", title=title)


def item_of(item) -> tuple[etree._Element, dict[str, bytes]]:
    """A question as `assessmentItem`, and its pictures by name."""
    question, pictures = item.question, {}
    body = Q.itemBody(_html(item, item.text, pictures))
    choices = Q.choiceInteraction(
        responseIdentifier="RESPONSE",
        shuffle="false" if item.ordered else "true",
        maxChoices="1" if item.single else "0",
    )
    if not item.single:
        choices.append(Q.prompt("Choose all that are right."))
    said = []
    for i, option in enumerate(question.options):
        place = f"option-{i + 1}"
        choice = _html(item, option, pictures, inline=True)
        choices.append(Q.simpleChoice(choice, identifier=place))
        said.append(_feedback(place, _html(item, item.feedback[i], pictures)))
    said.append(_feedback(REMARK, _html(item, item.remark, pictures)))
    body.append(choices)
    root = Q.assessmentItem(
        *_declared(item),
        body,
        _processing(item),
        *said,
        identifier=question.name,
        title=item.name,
        adaptive="false",
        timeDependent="false",
    )
    root.set(f"{XML}lang", "en")
    return root, pictures


def _declared(item) -> list[etree._Element]:
    """What is answered, the points, and which feedback is shown."""
    right = sorted(item.question.right)
    correct = Q.correctResponse(*(Q.value(f"option-{i + 1}") for i in right))
    several = "single" if item.single else "multiple"
    response = Q.responseDeclaration(
        correct, identifier="RESPONSE", cardinality=several, baseType="identifier"
    )
    if not item.single:
        response.append(_mapping(item.question))
    nothing = Q.defaultValue(Q.value("0"))
    score = {"identifier": "SCORE", "cardinality": "single", "baseType": "float"}
    said = {"identifier": "FEEDBACK", "cardinality": "multiple"}
    return [
        response,
        Q.outcomeDeclaration(nothing, **score),
        Q.outcomeDeclaration(**said, baseType="identifier"),
    ]


def _mapping(question) -> etree._Element:
    """The points of each option where several are right."""
    right, options = len(question.right), len(question.options)
    worth = {True: 1 / right, False: -1 / max(options - right, 1)}
    entries = (
        Q.mapEntry(
            mapKey=f"option-{i + 1}", mappedValue=str(worth[i in question.right])
        )
        for i in range(options)
    )
    return Q.mapping(*entries, lowerBound="0", upperBound="1", defaultValue="0")


def _processing(item) -> etree._Element:
    """Points, and the feedback of what was chosen."""
    chosen = Q.variable(identifier="RESPONSE")
    if item.single:
        equal = Q.match(chosen, Q.correct(identifier="RESPONSE"))
        full = Q.setOutcomeValue(Q.baseValue("1", baseType="float"), identifier="SCORE")
        points = Q.responseCondition(Q.responseIf(equal, full))
    else:
        mapped = Q.mapResponse(identifier="RESPONSE")
        points = Q.setOutcomeValue(mapped, identifier="SCORE")
    remark = Q.baseValue(REMARK, baseType="identifier")
    shown = Q.multiple(Q.variable(identifier="RESPONSE"), remark)
    return Q.responseProcessing(points, Q.setOutcomeValue(shown, identifier="FEEDBACK"))


def _feedback(identifier: str, div: etree._Element) -> etree._Element:
    return Q.modalFeedback(
        div, outcomeIdentifier="FEEDBACK", identifier=identifier, showHide="show"
    )


def _html(item, markdown: str, pictures: dict, *, inline: bool = False):
    """XHTML in the namespace of QTI, without styles; pictures lie beside the item."""
    div = tree(markdown, mathml, inline=inline)
    if inline:
        div.tag = "span"
    for image, path in item.pictures(div):
        name = f"{item.question.name}/{path.name}"
        image.set("src", name)
        pictures[name] = path.read_bytes()
    for element in div.iter():
        element.attrib.pop("style", None)
        if not etree.QName(element).namespace:
            element.tag = f"{{{QTI}}}{element.tag}"
    return div


def _bytes(root: etree._Element) -> bytes:
    namespace = etree.QName(root).namespace
    root.set(f"{{{XSI}}}schemaLocation", f"{namespace} {PLACES[namespace]}")
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _zip(files: dict[str, bytes]) -> bytes:
    """An archive with a fixed date: the same bytes for the same files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()
