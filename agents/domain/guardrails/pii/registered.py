"""Numbers beside their own short names ("RNC 1-01-85004-3"), accepted by the country's check.

What a number is called in its country and which check it must pass is data; any of those checks
that accepts what follows the name is enough, so a name that also means something else does no harm.
"""

from __future__ import annotations

import re

from agents.domain.guardrails.findings import Span
from agents.domain.guardrails.fold import lowered
from agents.domain.guardrails.pii.context import is_machine_line, line_around
from agents.domain.guardrails.pii.identifiers import validator

_TYPES = {"V": "VAT_ID", "T": "TAX_ID", "N": "NATIONAL_ID", "B": "BANK_ACCOUNT"}
# name=module of python-stdnum:type, …
_NAMES = """
    aadhaar=in_.aadhaar:N abn=au.abn:T alv=fi.alv:V amka=gr.amka:N asmens=lt.asmens:N
    atin=us.atin:T bis=be.bis:N bn=ca.bn:T brn=kr.brn:T bsn=nl.bsn:N btw=be.vat:T,nl.btw:V
    cbu=ar.cbu:B cc=pt.cc:N cedula=do.cedula:N cf=ro.cf:V ci=ec.ci:N cif=es.cif:T cnic=pk.cnic:N
    cnp=ro.cnp:N cnpj=br.cnpj:T codicefiscale=it.codicefiscale:T cpf=br.cpf:N,cr.cpf:N cpr=dk.cpr:N
    cui=pe.cui:N,ro.cui:T cuit=ar.cuit:T curp=mx.curp:N ddv=si.ddv:V dic=cz.dic:V,sk.dph:V
    dič=cz.dic:V,sk.dph:V dni=ar.dni:N,es.dni:N dph=sk.dph:V edb=mk.edb:T edrpou=ua.edrpou:T
    egn=bg.egn:N eid=be.eid:N ein=us.ein:T emso=si.emso:N fodselsnummer=no.fodselsnummer:N
    fpa=gr.vat:V fødselsnummer=no.fodselsnummer:N gstin=in_.gstin:V hetu=fi.hetu:N ice=ma.ice:T
    ico=cz.dic:T idno=md.idno:T idnr=de.idnr:T,il.idnr:N,za.idnr:N ik=ee.ik:N inn=ru.inn:T
    insz=be.ssn:N ird=nz.ird:N isikukood=ee.ik:N itin=us.itin:T iva=ch.vat:V,it.iva:V ičo=cz.dic:T
    kennitala=is_.kennitala:N kmkr=ee.kmkr:V kra=ke.pin:T mf=tn.mf:T mst=vn.mst:T mva=no.mva:V
    mwst=ch.vat:V ncf=do.ncf:T nhs=gb.nhs:N ni=cu.ni:N nid=mu.nid:N nie=es.nie:N
    nif=dz.nif:T,es.nif:V,fr.nif:T,pt.nif:V nifp=gn.nifp:T nik=id.nik:N ninea=sn.ninea:T
    nip=pl.nip:V nipt=al.nipt:T nir=fr.nir:N niss=be.nn:N,be.ssn:N nit=co.nit:T,gt.nit:T,sv.nit:T
    npwp=id.npwp:V nric=my.nric:N nrt=ad.nrt:T nuis=al.nipt:T nuit=mz.nuit:T nwst=be.vat:T
    ogrn=ru.ogrn:T ogrnip=ru.ogrn:T oib=hr.oib:N onderwijsnummer=nl.onderwijsnummer:N
    onrc=ro.onrc:T pan=in_.pan:T paspoortnummer=nl.identiteitskaartnummer:N peid=li.peid:T
    personnummer=se.personnummer:N pesel=pl.pesel:N pib=me.pib:T,rs.pib:T pin=ke.pin:T,th.pin:N
    pnf=bg.pnf:N pps=ie.pps:N psrn=ru.ogrn:T ptin=us.ptin:T pvm=lt.pvm:V pvn=lv.pvn:V
    rc=cz.rc:N,sk.rc:N rcs=fr.rcs:T rfc=mx.rfc:T ric=cn.ric:N rif=ve.rif:V rnc=do.rnc:T
    rntrc=ua.rntrc:T rrn=be.nn:N,kr.rrn:N ruc=ec.ruc:T,pe.ruc:T,py.ruc:T rut=cl.rut:T,uy.rut:T
    rč=cz.rc:N,sk.rc:N sin=ca.sin:N stnr=de.stnr:T svnr=at.vnr:N tckimlik=tr.tckimlik:N
    tfn=au.tfn:T tin=at.tin:T,gh.tin:T,th.tin:T,us.tin:T,za.tin:T tpv=ch.vat:V
    tva=be.vat:T,ch.vat:V,fr.tva:V,lu.tva:V,mc.tva:V ubn=tw.ubn:T uid=at.uid:V unp=by.unp:V
    uscc=cn.uscc:T utr=gb.utr:T
    vat=be.vat:T,bg.vat:V,ch.vat:V,cy.vat:V,de.vat:V,eu.vat:V,gb.vat:V,gr.vat:V,ie.vat:V,mt.vat:V,se.vat:V
    veronumero=fi.veronumero:T vkn=tr.vkn:T vnr=at.vnr:N voen=az.voen:T vsk=is_.vsk:V vsnr=at.vnr:N
    vöen=az.voen:T áfa=hu.anum:V αφμ=gr.vat:V φπα=gr.vat:V д.д.с=bg.vat:V ддс=bg.vat:V едб=mk.edb:T
    инн=ru.inn:T огрн=ru.ogrn:T огрнип=ru.ogrn:T пиб=rs.pib:T рнокпп=ua.rntrc:T унп=by.unp:V
    єдрпоу=ua.edrpou:T
"""
_CHECKS: dict[str, tuple[tuple[str, str], ...]] = {
    name: tuple((check[:-2], _TYPES[check[-1]]) for check in checks.split(","))
    for name, checks in (row.split("=") for row in _NAMES.split())
}
_NAME = re.compile(
    r"(?<![^\W_])(?:"
    + "|".join(map(re.escape, sorted(_CHECKS, key=len, reverse=True)))
    + r")(?![^\W_])"
)
# Names that are words or other short forms as well ("cf.", Spanish "sin", "CI passed"), or whose
# check accepts nearly all: with a colon or a word for a number behind them.
_WORDS = frozenset(
    """
    alv bis bn brn btw cc cf ci cif cui dic dph edb eid ein ice ico ik inn iva mf mst mwst ncf
    ni nid nie nik nip nit pan peid pib pin rc rcs ric rif rut sin tin uid unp vat vsk áfa ддс
    """.split()
)
_BETWEEN = re.compile(
    r"[^\w\n]{0,4}(?:(?:no|nr|nro|num|number|nummer|n[uú]mero|is|ist|est|es|è|é|to)\b[^\w\n]{0,4}){0,3}"
)
_SAID = re.compile(r":|№|n?[º°]|[^\W\d_]{2}|[èé]", re.IGNORECASE)
_VALUE = re.compile(r"[0-9A-Za-z](?:[ ./\-]{0,3}[0-9A-Za-z+*]){5,21}(?![0-9A-Za-z])")
_CUT = re.compile(r"[ ,]")
# A name this short among a machine's keys is something else.
_SHORT = 2
FEWEST_DIGITS = 5


def registered(text: str) -> list[Span]:
    """Numbers that follow their name and pass the check of one of its countries."""
    spans = []
    machine_until = -1  # how far the last line that was found to be a machine's reaches
    for name in _NAME.finditer(lowered(text)):
        gap = _BETWEEN.match(text, name.end())
        start = gap.end() if gap else name.end()
        if name[0] in _WORDS and not _SAID.search(text, name.end(), start):
            continue
        value = _VALUE.match(text, start)
        span = _accepted(value, name[0]) if value is not None else None
        if span is None or (len(name[0]) <= _SHORT and name.start() < machine_until):
            continue
        if len(name[0]) <= _SHORT:
            left, right = line_around(text, *name.span())
            if is_machine_line(text[left:right]):
                machine_until = right
                continue
        spans.append(span)
    return spans


def _accepted(value: re.Match[str], name: str) -> Span | None:
    """The longest beginning of ``value`` that ends at a space and that a check accepts."""
    raw = value[0]
    while sum(c.isdigit() for c in raw) >= FEWEST_DIGITS:
        for module, kind in _CHECKS[name]:
            if validator(module)(raw.upper()):
                return Span(kind, value.start(), value.start() + len(raw), 0.85)
        cut = max((m.start() for m in _CUT.finditer(raw)), default=0)
        raw = raw[:cut]
    return None
