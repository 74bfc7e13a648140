"""Common given names, folded to lower case. Written by hand: no name model is installed.

Names that are also ordinary words or months (May, Will, Mark, Grace, Hope, April …) are left out
unless a title or label stands beside them.
"""

from __future__ import annotations

GIVEN_NAMES = frozenset(
    """
    aaron abdul abdullah abigail adalbert adam adela adelaide adele aditi adolfo adrian adriana
    agata agnes agnieszka agnès agustín ahmad ahmed ahmet aida aiden aileen aino aisha aisling
    akira alain alan albert alberto aldo alejandra alejandro aleksander aleksandra alessandra
    alessandro alessia alex alexander alexandra alexandre alexandria alexei alexis alfonso alfred
    alfredo ali alice alicia alicja alina alisha alison allan allison alois alonso alvaro alwin
    amadou amalia amanda amara ambre amelia amelie amina amir amit amparo amy amélie ana anastasia
    anastazja anatole anaïs anders andrea andreas andreea andrei andrew andrius andrzej andrás
    andré angela angelika angelique angelo anil anita anja anjali anke ann anna annabel annalisa
    anne annegret annelies anneliese annette annie annika ansgar anthea anthony antje antoine
    anton antonella antoni antonina antonio antónio aoife araceli archie ariana ariane arjun
    arkadiusz armand armando arnaldo arnaud arne arnold arthur artur arturo arun arvid aryan asger
    asha ashley asier astrid athena aubrey audrey augusto aurelia aurélie aurélien axel ayesha
    ayla ayumi ayşe azra baptiste barbara barbora barney barry bartosz bastian bastien beata
    beatrice beatrix beatriz belinda ben benedikt benita benito benjamin benno bente berit
    bernadette bernard bernardo bernd bernice bert bertha berthold bertrand beth bettina betty
    beverly bianca billy birgit bjarne björn blanca bobby bogdan boguslaw boris bożena brandon
    branislav brenda brian bridget brigitte britt britta bronwyn bruna bruno bryan burkhard
    caitlin callum camille candice carina carine carl carla carlo carlos carly carmen carol carole
    carolina caroline carolyn carsten casper cassandra catalina caterina catherine cathy cecilia
    cedric celeste celia celina cesar chantal charles charlie charlotta charlotte chelsea cheryl
    chiara chloe chloé chris christa christel christelle christian christiane christina christine
    christoph christophe christopher christos ciara cindy claire clara clarisse claude claudia
    claudine claudio claus clemens clementina clifford clotilde clyde clémence colette colin
    colleen concetta connor conor conrad constance constantin consuelo corey corinna corinne
    cornelia cornelis corrado cosimo courtney craig cristian cristiana cristina cristobal curtis
    cynthia cyril cyrus czesław cécile cédric céline césar dafydd dagmar dagny dalia damian
    damiano damien damir danica daniel daniela danielle danila danilo danny danuta daphne daria
    dario dariusz darlene darren david davide dawid debbie deborah debra deepak deirdre delia
    delphine demetrius demi denis denisa denise dennis derek derya desmond detlef devon diana
    diane diego dieter dilip dimitri dimitris dina dino dirk dmitri dmitry domenico dominic
    dominick dominik dominika dominique donald donatella donato donna doreen dorian doris dorota
    dorothea dorothy dorothée douglas dragan duarte duncan dustin dušan dwight dylan ebba eberhard
    eddie edgar edina edith edmund edna edoardo eduard eduarda eduardo edward edwin edyta egon
    eike eileen eino eira eitan ekaterina elaine eleanor elena eleni elfriede elia eliana elias
    elif elijah elin eline elio eliot elisa elisabeth elise eliseo eliza elizabeth elke ella ellen
    ellie elliot elliott elmar eloise elsie elvira elżbieta emanuel emanuela emanuele emelie emer
    emil emile emilia emiliano emilie emilio emily emma emmanuel emmanuelle emmett emre encarna
    encarnación enid ennio enrico enrique enzo erhard eric erica erich erik erika erin ernest
    ernesto ernst erwin eryk esma esmeralda espen esteban estelle esther estrella ethan etienne
    eugene eugenia eugenio eugène eunice eusebio eva eva-maria evan evelien evelina evelyn everett
    ewa ewald ewan ezra fabian fabienne fabio fabiola fabrice fabrizio fadi faisal fanny farah
    fatih fatima fatma fausto fay federica federico fedor felix femke ferdinand fergus fernand
    fernanda fernando ffion filip filipa filippa filippo finlay finn fiona fiorella flavia flavio
    flora florence florentina florian floriana florin franca frances francesca francesco francine
    francis francisca francisco franciszek franck francoise frank frank-walter frankie franz
    franziska françois françoise fred freda freddie frederic frederick frederik fredrik frida
    frieda friedrich fritz frédéric félix gabor gabriel gabriela gabriele gabriella galina gareth
    garry gary gaspar gaston gavin gaël gemma genevieve geneviève geoff geoffrey georg george
    georges georgia georgina gerald geraldine gerard gerardo gerd gerhard german germán gertrud
    gheorghe ghislain giacomo giada gian giancarlo gianluca gianni gilbert gilberto gilles gillian
    gina ginevra gino giorgia giorgio giovanna giovanni gisela gisèle giulia giuliano giulio
    giuseppe giuseppina gladys glenn gonzalo goran gordon graham grażyna greg gregor gregory greta
    gretchen grzegorz guadalupe gudrun guglielmo guido guilherme guillaume guillermo gunnar gunter
    gus gustaf gustav gustavo gwen gwendolyn gábor gérald gérard günter günther hakan hamza hanna
    hannah hannelore hannes hans hans-peter harald harold harriet harrison harry hartmut haruto
    harvey hasan hassan hattie heather hector hedda hedwig heidelinde heidi heike heiko heiner
    heinrich heinz helen helena helene helga helge helmut hendrik henk hennie henning henri
    henriette henrik henry herbert heribert herman hermann hernán hilary hilda hilde hildegard
    hildegunde hiroshi holger horacio horst howard hubert hugh hugo humberto hussein håkan héctor
    hélène ian ibrahim ignacio igor ihor ike ilaria ilja ilona ilse imke imogen imran ines inga
    inge ingeborg ingemar ingrid inigo inés inês ioana ioannis irena irene irina irma irmgard
    isaac isabel isabella isabelle isaiah ismael ismail isolde istván ivan ivana ivo ivonne iwona
    jaap jace jacek jack jackie jacob jacopo jacqueline jacques jacub jadwiga jaime jakob jakub
    jamal james jameson jamie jan jana jane janet janice janina janine janis janna jannik janusz
    jared jarek jarmila jarosław jasmin jasmine jason jasper javier jean jean-claude jean-luc
    jean-marie jean-pierre jeanette jeanine jeanne jeff jeffery jeffrey jelena jelle jen jenna
    jennie jennifer jenny jens jeremy jerome jerzy jesper jess jesse jessica jessie jesús jill
    jillian jim jimmy jing joachim joakim joan joana joann joanna joanne joaquim joaquín jochen
    joel joelle joep johan johann johanna johannes john johnny jolanda jolanta jon jonas jonathan
    jordan jorge joris jos josef josefa josefina josefine joseph josephine josette josh joshua
    josip jost josé jovan joyce jozef joão joël juan juana juanita judith judy jules julia julian
    juliana juliane julie julien juliet juliette julio julita julius jurgen justin justina justyna
    jutta jérémy jérôme józef jörg jörn jürgen jędrzej kai kaja kamil kamila karel karen karim
    karin karina karl karla karol karolin karolina kasia kasimir kaspar katarina katarzyna kate
    katerina katharina katherine kathleen kathrin kathryn kathy katie katja katrin katrina kavita
    kay kayla kazimierz kazuko keith kelly kelvin ken kenji kenneth kerry kerstin kevin khadija
    khaled kiara kieran kim kimberly kinga kira kiran kirsten kirsty kjell klaas klara klaus knut
    konrad konstantin konstantinos krista kristen kristian kristiane kristie kristin kristina
    kristine kristof krystian krystyna krzysztof kumar kunal kurt kyle kylie kyra lakshmi lara
    larissa larry lars lasse laszlo laura lauren laurence laurent laurie lavinia lawrence lea leah
    leandro lech leif leila lena lenka lennart leo leon leonard leonardo leone leonie leonor
    leonora leopold leroy lesley leslie leszek leticia lewis león lia liam lidia liesbeth lila
    lilian liliana lilly lily lina linda lindsay lindsey lino lionel lisa lisbeth lise livia liz
    lizzie llewellyn logan loic lois lola lonnie lorena lorenz lorenza lorenzo loretta lori
    lorraine lothar lotte lou louis louisa louise loïc luana luc luca lucas lucia luciana luciano
    lucie lucien lucille lucinda lucio lucy lucía ludmila ludovic ludwig luigi luis luisa luise
    luiza luka lukas luke lukáš luna luísa lydia lydie lyn lynda lynn lynne lászló léa léonie
    mabel maciej maddalena madeleine madison mads magali magda magdalena maggie magnus mahmoud
    maik maja malcolm malgorzata malik malin malte mandy manfred manon manuel manuela mara marc
    marcel marcela marcella marcello marcelo marcia marcin marco marcos marcus marek margaret
    margareta margarete margarita margaux margherita margit margot marguerite maria mariah marian
    mariana marianna marianne mariano maribel marie marieke marielle marietta marija marijke
    marika marilyn marina mario marion maris marisa marisol marit marita marius mariusz marjorie
    marko markus marlene marlies marlon marta martha marthe martijn martin martina martine martyna
    martín marvin mary maryam maría masako massimiliano massimo mateo mateusz mathias mathieu
    mathilde matilda matilde mats matt matteo matteus matthew matthias matthieu mattia mattias
    matías maureen maurice mauricio maurizio mauro maxim maxime maximilian maximiliano maxine maya
    małgorzata megan mehdi mehmet mei meike melania melanie melinda melissa melvin mercedes
    meredith merlin mette mia micah michael michaela michal michał michel michela michelangelo
    michele michelle michèle mick mieczysław miguel mihaela mihai mika mikael mike mikel mikkel
    miklós miko mikołaj mila milan milena mille milo ming minna mira miranda mireille mirela
    miriam mirjam mirko miroslav mirosław mitch mitchell mohamed mohammad mohammed moira moises
    molly mona monica monika monique moritz morten moses moshe muhammad muhammed murat mustafa
    myra myriam myrtle mélanie nadia nadine nadja nana nancy naomi natalia natalie natascha
    natasha nathalie nathan nathaniel neha neil nelly nelson nerea nessa nicholas nick nicky nico
    nicola nicolaas nicolas nicole nicoletta niels nigel nikhil niklas nikola nikolai nikolaos
    nikolas nils nina nino noa noah noelia noemi nora norbert noreen norma norman noémie noël nuno
    nuria núria octavia octavio odette odile ola olaf olav ole oleg oleh olena olga olimpia oliver
    olivia olivier oluwaseun omar ondřej orlando ornella oscar oskar osman osvaldo oswald otis
    ottavio otto owen pablo palle paloma pam pamela paola paolo pascal pascale pasquale patric
    patrice patricia patricio patrick patrik patrycja patti paul paula paulette paulina pauline
    paulo pavel paweł pedro peggy pekka penelope percy petar peter petr petra petros petter phil
    philip philipp philippa philippe phillip phoebe phyllis pia piera piero pierre pierre-yves
    piet pieter pietro pilar piotr pippa pirjo placido polina pontus pooja priscilla priya
    priyanka prudence prudencia przemysław quentin quinten rachael rachel rachelle radek radosław
    rafael rafał raffaele raffaella rahul rainer raisa raj rajesh ralf ralph ramiro ramon ramona
    ramón randall rania raphael raphaël raquel rasmus raul ravi raymond raúl rebecca rebekka
    reggie regina reginald regine reinhard reinhold remco remi renata renate renato renaud rene
    renzo rené renée rhys ricarda ricardo riccardo richard rick rikke rita robbert robbie robert
    roberta roberto robin robyn rocco rocio rocío roderick rodica rodney rodolfo rodrigo roel
    rogelio roger rogier roland rolando rolf romain roman romane romeo romina romuald romy ron
    ronald ronan ronja ronnie roosevelt rory rosa rosalba rosalie rosalind rosanna rosario roselyn
    rosemarie rosemary rosie rosina rosita roswitha rowena roxana roxane roy ruben rubén rudi
    rudolf rufus rui rupert russell ruth ruud ryan ryszard rémi sabina sabine sabrina sacha sadie
    sally salma salomé salvador salvatore sam samantha samir sammy samuel samuele sanda sander
    sandor sandra sandrine sandro sanja sanjay sara sarah sarita sascha sasha saskia saul scarlett
    scott seamus sean sebastian sebastiano sebastião selma sepp serena serge sergei sergio seth
    severin seweryn seán shane shannon sharon shaun shauna sheila shelley shelly sheri sherry
    shirley sibylle sidney siegfried siegrid sigfrid sigrid sigurd silje silke silvana silvia
    silvio simon simona simone simonetta sinéad siobhan siri siân sofia sofie sofía solène sonia
    sonja sophia sophie spencer stacey stanislav stanisław stanley stefan stefani stefania
    stefanie stefano steffen steffi stella stephan stephanie stephen sterre steve steven stewart
    stig stuart stéphane stéphanie suleiman sully sunita susan susana susann susanna susanne suse
    susie suzan suzanne suze svea sven svenja sverre svetlana sylvain sylvester sylvia sylvie
    sylwia szymon sébastien søren tadeusz tahir takashi tamara tammy tania tanja tanya tara tariq
    tarja tasha tatiana tatjana taylor ted teddy teresa terezа terje terrence terri terry tess
    tessa thea thelma theo theodor theodora theodore theresa thibault thierry thijs thilo thomas
    thor thorsten thérèse tiago tibor tiffany tijmen tilman tim timothy timothée tina tino titus
    tiziana tjark tobias tobiasz todd tom tomas tomasz tommaso tommy tomás tomáš tony torben
    tormod torsten tove tracey tracy travis trevor trine tristan troels trudy tyrone ubaldo udo
    ugo ulf uli ulla ulrich ulrika ulrike umberto urs ursula urszula uta ute uwe vadim vagn
    valentin valentina valentino valeria valerie valerio valérie vanda vanessa vasile vasilis vera
    verena veronica veronika verónica vesna vicente vicki vicky victor victoria vidar viggo vijay
    vikram viktor viktoria vilhelm villads vilma vince vincent vincenzo viola violeta virgil
    virginia virginie virginio vito vittoria vittorio vivian viviana vivien vivienne vlad vladimir
    vojtěch volker volodymyr véronique waldemar wallace wally walt walter wanda warren wei
    wendelin wendy wenzel wera werner wesley whitney wiebke wieland wiesław wiktor wilbert
    wilfried wilhelm willem willi william willie willy wilma winfried winifred winona winston
    wioletta wojciech wolfgang wouter władysław włodzimierz xander xavier xiaoming ximena yahya
    yan yana yann yannick yannis yara yasemin yasmin yasmine yasser yasuko yolanda yosef youssef
    yuki yuri yusuf yves yvette yvonne zach zachary zainab zara zbigniew zdeněk zdzisław zenon
    zita zoe zoey zofia zoltán zoran zoë zuzana zuzanna zygmunt ángel ángela émile étienne özlem
    łukasz
    """.split()
)
