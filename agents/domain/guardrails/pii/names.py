# ruff: noqa: E501 (patterns and word lists read better whole)
"""Common given names, folded to lower case. Written by hand: no name model is installed.

Names that are also ordinary words or months (May, Will, Mark, Grace, Hope, April …) are left out
unless a title or label stands beside them.
"""

from __future__ import annotations

GIVEN_NAMES = frozenset(
    """
    aaron abdul abdullah abigail adam adrian adriana agata agnes agnieszka ahmed ahmet aiden aisha
    aisling akira alain alan albert alberto alejandro aleksander alessandro alessia alex alexander
    alexandra alexei alexis alfonso alfred ali alice alicia alina alison allan allison alvaro amanda
    amélie amelia amir amit amy ana anaïs anastasia anders andrás andré andrea andreas andrei andrew
    andrzej angela angelika angelo anil anita anja anjali ann anna anne annette annika anthony
    antoine anton antonella antonio antónio anita aoife ariane arjun arne arthur arturo arun asha
    ashley astrid aurélie ayşe ayumi barbara bartosz beata beatrice beatriz ben benedikt benjamin
    bernard bernd bertrand beth bettina bianca birgit björn bogdan boris brandon brenda brian
    bridget brigitte bruno camille carl carla carlos carmen carol carolina caroline caterina
    catherine cécile cecilia céline charles charlotte chiara chloe chloé chris christian christina
    christine christoph christophe christopher cindy claire clara clarisse claude claudia claus
    clémence colin conor cornelia craig cristiana cristina cynthia damian damien daniel daniela
    danielle daria dariusz darren david deborah debra deepak denis denise dennis derek diana diane
    diego dieter dimitri dirk dmitri dominik dominique donald donna doris dorota dorothea dorothy
    douglas duncan dylan edith edoardo eduardo edward edyta eileen elena eleanor elif elisa
    elisabeth elise elizabeth ella ellen elke emil emilia emilie emily emma emmanuel emre enrico
    enrique eric erica erik erika ernesto ernst esther ethan eugene eva evelyn ewa fabian fabio
    farah fatima federica federico felix fernanda fernando filip fiona florence florian frances
    francesca francesco francis francisco franck françois françoise frank franz frederic frédéric
    frederik friedrich gabriel gabriela gabriele gareth gary gemma geoffrey georg george georges
    georgia gerald gerard gerhard giacomo gianluca gillian giorgio giovanni giulia giuseppe gisela
    gonzalo gordon graham greta grzegorz guido guillaume gunnar günter gustavo hakan hamza hannah
    hannes hans harald haruto harriet harold harry hassan heather heidi heike heinrich heinz helen
    helena helene helga henk henri henrik henry herbert hermann hiroshi holger horst hugo hussein
    ian ibrahim ignacio igor ines inês inga ingrid irena irene isaac isabel isabella isabelle ivan
    jack jacek jacob jacqueline jacques jaime jakob jakub james jamie jan jana jane janet janice
    jasmine jason javier jean jeff jeffrey jennifer jens jeremy jerome jérôme jerzy jessica jesús
    jill jing joachim joan joana joanna joanne jochen joão joel johan johanna johannes john johnny
    jolanta jonas jonathan jordan jorge jörg josé josef joseph josephine joshua juan juana judith
    julia julian juliana julie julien juliette jürgen justin justyna kai kamil karen karin karina
    karl karolina katarzyna kate katharina katherine kathleen kathryn katja katrin kavita kazuko
    keith kelly kenji kenneth kerstin kevin kieran kim kimberly kiran klaus krzysztof kumar kurt
    kyle lakshmi lara larissa lars laura lauren laurence laurent lea léa leah leila leo leon leonard
    leonardo leonie leszek lewis liam lidia linda lindsay lisa lise logan lorenzo louis louise luc
    luca lucas lucia lucie lucy luigi luis luísa luiza łukasz lukas lydia maciej madison magdalena
    maja malcolm małgorzata manfred manon manuel manuela marc marcel marcelo marcin marco marcos
    marcus margaret margot maria mariana marianne marie mariusz marina mario marion markus marlene
    marta martha martin martina martine martín mary masako mateusz mathieu mathilde matías matteo
    matthew matthias maureen maurice mauricio mauro maxime maximilian mehmet mei megan melanie
    melissa mercedes michael michał michel michele michelle miguel mika mikael milan ming miriam
    mohamed mohammad mohammed monica monika moritz mustafa nadia nadine nancy naomi natalia natalie
    natasha neha neil nicholas nicola nicolas nicole niels nigel nikhil nikolai nina noah noémie
    nora norbert norman nuno octavia olaf oleg olga oliver olivia olivier omar oscar oskar owen
    pablo pamela paola paolo pascal patricia patrick patrycja paul paula pauline paulo pavel paweł
    pedro peggy peter petra philip philipp philippe phillip pierre piotr pilar pooja priya priyanka
    rachel rafael rafał rahul rainer raj rajesh ralf ralph ramón raquel raúl raymond rebecca regina
    renata renate rené ricardo riccardo richard rita robert roberta roberto robin rodrigo roger
    roland rolf romain roman ronald rosa rosario rosemary roswitha roy rui russell ruth ryan sabine
    sabrina sally salvatore samantha samuel samir sandra sandrine sanjay sara sarah sarita scott
    sean sebastian sébastien serge sergei sergio seán shannon sharon shaun sheila shirley siegfried
    sigrid silke silvia simon simone siobhan sofia sofía sonia sophia sophie stacey stanisław stefan
    stefania stefano stefanie stella stephanie stephen steve steven stuart sunita susan susana
    susanne suzanne sven svetlana sylvia sylvie takashi tamara tania tanja tara tatiana taylor teresa
    thérèse theodor theresa thomas thierry tiago tim timothy tina tobias todd tom tomás tomasz
    tommaso tony torsten tracey tracy ulrich ulrike urs ursula uwe valentina valeria valérie vanessa
    vera verónica veronica veronika vicente victor victoria vijay viktor vikram vincent vincenzo
    virginia virginie vladimir volker waldemar walter wanda wei wendy werner wilhelm william wojciech
    wolfgang xavier xiaoming yan yann yasmin yasuko yolanda yuki yusuf yves yvonne zachary zainab zoe
    zofia zuzanna
    """.split()
)
